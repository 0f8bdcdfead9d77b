"""Preparation of a network's training before its first step: network, task, data, and messages about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reid.data.records import ImageSet
from reid.engine.batches import TrainingBatches
from reid.engine.machine.device import seeded
from reid.engine.machine.distributed import Processes, barrier
from reid.engine.runs.run_folder import CONFIG
from reid.engine.tasks.identity_task import IdentityTask
from reid.models.backbones.weights import check_pretrained, load_pretrained
from reid.models.network import ReidNetwork
from reid.models.residuals import zero_residuals
from supernet.catalog import NetworkSpec, build
from tools.jobs.data import Source, check_answers, open_source, retrain_data
from tools.jobs.evaluate.checkpoints import start_of
from tools.jobs.evaluate.datasets import check_all_tested
from tools.jobs.job import Job
from tools.jobs.runs.lineage import lineage_of
from tools.jobs.runs.supernets import inherited_run
from tools.jobs.training.drawing import batches_of
from tools.jobs.training.inherit import inherit, start_from
from tools.jobs.training.retrain_words import trained_on_words
from tools.jobs.training.teacher import load_teacher
from tools.jobs.training.trial import try_network
from tools.jobs.training.wanted import Retraining, network_to_train, training_config


@dataclass(frozen=True)
class Prepared:
    """A training that is ready to begin.

    Attributes:
        spec, file: the network at its input size, and its arch file if it has one.
        source, images: the data set, and its training images.
        network: with its initial weights; ``task`` trains it on ``batches``.
        start: the file or name that its initial weights come from (see ``start_of``), or ``None``.
        begun_with: those weights in words; ``None`` for random ones.
        zeroed: number of residual branches initialised to 0 by the recipe; ``None`` for given weights.
        trained_on: a table's description of the data behind the network.
        config: what the run folder records.
    """

    spec: NetworkSpec
    file: Path | None
    source: Source
    images: ImageSet
    network: ReidNetwork
    task: IdentityTask
    batches: TrainingBatches
    start: str | Path | None
    begun_with: str | None
    zeroed: int | None
    trained_on: str
    config: dict[str, Any]


def prepare(job: Job, what: Retraining, processes: Processes) -> Prepared:
    """Opens the data, builds the network with its initial weights, and tries it at its input size.

    Raises:
        UserError: data, settings and network do not fit together; or the initial weights or a teacher were trained on
            persons of the test set.
    """
    experiment, recipe = job.experiment, job.experiment.retrain
    spec, file = network_to_train(job, what)
    supernet = inherited_run(what.weights)
    start = start_of(what.weights) if what.weights and not supernet else None
    if start:
        with torch.device("meta"):
            check_pretrained(build(spec).backbone, start)
    if not processes.is_main:
        barrier(processes)  # the first process makes the synthetic set and the decoded cache for all
    source = open_source(experiment.data, job.data, spec.input_size)
    if what.test and source.dataset.has_test:
        check_answers(source.dataset)
    images = retrain_data(source, experiment.data)
    inherited = inherit(supernet, spec, source, job) if supernet else None
    with seeded(job.seed):
        batches = batches_of(source, images, recipe, spec.input_size, job, processes)
        network = build(spec)
        if inherited:
            begun_with = start_from(network, inherited)
        else:
            begun_with = str(load_pretrained(network.backbone, start)) if start else None
        zeroed = None if begun_with else zero_residuals(network, recipe.zero_init_residual)
        teacher = load_teacher(recipe.losses.distillation, images, spec.input_size, job)
        task = IdentityTask(network, batches.classes, recipe.losses, teacher)
        try_network(network, spec.input_size, recipe)
    trained_on = trained_on_words(source, images, what.weights, recipe, inherited)
    config = training_config(job, what, spec, source, inherited and inherited.sha256)
    if what.test and source.dataset.has_test:  # check now rather than when the trained network is scored
        check_all_tested(lineage_of(config, job.out / CONFIG, "this training"), [source])
    return Prepared(spec, file, source, images, network, task, batches, start, begun_with, zeroed, trained_on, config)
