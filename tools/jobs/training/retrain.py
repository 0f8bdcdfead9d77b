"""The job of ``tools/retrain.py``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from evaluation.report.training import write_training_report
from reid.engine.batches import training_batches
from reid.engine.machine.device import seeded
from reid.engine.machine.distributed import Processes, barrier, from_environment, process_group
from reid.engine.runs.run_folder import WEIGHTS
from reid.engine.tasks.identity_task import IdentityTask
from reid.engine.trainer import fit
from reid.models.backbones.weights import check_pretrained, load_pretrained
from supernet.catalog import NetworkSpec, build, find_network, spec_to_dict
from supernet.files import load_space
from supernet.trained.checkpoint import load_network
from tools.jobs.data import Source, open_source, retrain_data
from tools.jobs.evaluate.checkpoints import start_of
from tools.jobs.job import Job
from tools.jobs.opening import tell_estimate
from tools.jobs.ownership import training_in
from tools.jobs.provenance import made_by, run_config
from tools.jobs.trained_supernets import inherited_run
from tools.jobs.training.beginning import weights_sha256
from tools.jobs.training.cool_down import CoolDown, begun, check_same, take_over
from tools.jobs.training.facts import training_facts
from tools.jobs.training.finished import is_complete, is_over, tell_over
from tools.jobs.training.inherit import inherit, start_from
from tools.jobs.training.looks import OwnEvaluation, held_out, metric_of, missing_best, monitor_of
from tools.jobs.training.result import keep, score
from tools.jobs.training.retrain_words import announce_training, taken_back, trained_on_words
from tools.jobs.training.teacher import load_teacher, teacher_sha256
from tools.jobs.training.trial import try_network


@dataclass(frozen=True)
class Retraining:
    """What to train.

    Attributes:
        network: name or path; see ``find_network``.
        search: a search's run folder, whose archs are looked up before ``configs/archs``.
        weights: where the backbone's weights come from (see ``start_of``), ``supernet:<run folder>`` for those that a
            supernet has for the arch (see ``tools.jobs.training.inherit``), or None for from scratch.
        label: set beside the network's name in tables, to tell recipes apart.
        cool_down: the interrupted training that is ended, or None for one from its start.
        test: whether the weights that it ends with are scored on the test set. A search's finalists are not.
    """

    network: str
    search: Path
    weights: str | None = None
    label: str = ""
    cool_down: CoolDown | None = None
    test: bool = True


def retrain(job: Job, what: Retraining, own: OwnEvaluation | None = None) -> Path:
    """Trains a network and, unless told otherwise, scores the weights that it ends with on the test set, where the data
    set has one; returns the run folder.

    Under ``torchrun`` its processes train one network together; the first alone asks ``own``.

    Args:
        own: looks at the network too, every ``retrain.evaluate_every`` epochs.

    Raises:
        UserError: data, settings and network do not fit, or the run folder holds another run.
    """
    with process_group(from_environment(job.device)) as processes:
        return _retrain(dataclasses.replace(job, device=processes.device), what, own, processes)


def _retrain(job: Job, what: Retraining, own: OwnEvaluation | None, processes: Processes) -> Path:
    whole = job.experiment.retrain
    ended = what.cool_down and begun(what.cool_down, whole, job.out)
    if ended:
        job = dataclasses.replace(job, experiment=dataclasses.replace(job.experiment, retrain=ended.recipe))
    experiment, recipe = job.experiment, job.experiment.retrain
    spec, path = network_to_train(job, what)
    supernet = inherited_run(what.weights)
    start = start_of(what.weights) if what.weights and not supernet else None
    if start:
        with torch.device("meta"):
            check_pretrained(build(spec).backbone, start)
    if not processes.is_main:
        barrier(processes)  # the first process makes the synthetic set and the decoded cache for all
    source = open_source(experiment.data, job.data, spec.input_size)
    images = retrain_data(source, experiment.data)
    inherited = inherit(supernet, spec, source, job) if supernet else None
    with seeded(job.seed):
        batches = training_batches(images, recipe, spec.input_size, job.seed, job.device, processes)
        network = build(spec)
        if inherited:
            pretrained = start_from(network, inherited)
        else:
            pretrained = load_pretrained(network.backbone, start) if start else None
        teacher = load_teacher(recipe.losses.distillation, images, spec.input_size, job)
        task = IdentityTask(network, batches.classes, recipe.losses, teacher)
        try_network(network, spec.input_size, recipe)
    held = held_out(job, source, own)
    facts = training_facts(recipe, images, batches.per_epoch, held, source)
    trained_on = trained_on_words(source, images, what.weights, recipe, inherited)
    config = training_config(job, what, spec, source, inherited and inherited.sha256)
    if ended:
        config["cooled_down"] = ended.noted
    if ended and not ended.goes_on:
        check_same(what.cool_down, config, whole)

    scored = what.test and source.dataset.has_test
    over = job.resume and is_over(job.out, WEIGHTS)

    def announce() -> None:
        if over:
            return
        if ended:
            take_over(what.cool_down, ended.done, job.out, metric_of(own))
        looks = held is not None or own is not None
        announce_training(job, spec, path, network, source, trained_on, batches, start, pretrained, processes, looks)

    with training_in(job, config, announce, processes):
        if over and processes.is_main:
            tell_over(job.out)
        elif not over:
            trained = fit(
                task,
                batches,
                recipe,
                job.out,
                job.device,
                monitor=monitor_of(job, spec, held, own),
                facts=facts,
                processes=processes,
                on_estimate=tell_estimate(job.device),
                title=spec.name,
            )
            if processes.is_main:
                network, spec = keep(job, trained, spec, images)
        if processes.is_main and not (over and is_complete(job.out, scored)):
            if over:
                network, spec = load_network(job.out / WEIGHTS, job.device)
            if scored:
                notes = [ended.words(job.seed)] if ended else []
                notes += [*taken_back(job.out), *missing_best(job.out, recipe)]
                score(job, network, spec, source, trained_on, what.label, tuple(notes))
            write_training_report(job.out, made_by(), trained_on)
        barrier(processes)
    return job.out


def network_to_train(job: Job, what: Retraining) -> tuple[NetworkSpec, Path | None]:
    """The network at the size that it is trained at, the config's ``input_size`` or else its own, and its arch file."""
    experiment = job.experiment
    return find_network(
        what.network,
        [what.search / "archs"],
        experiment.input_size,
        load_space(experiment.space).input_size,
        experiment.last_stride,
        experiment.retrain.head,
    )


def training_config(
    job: Job, what: Retraining, spec: NetworkSpec, source: Source, supernet_sha256: str | None
) -> dict[str, Any]:
    """What a training's run folder keeps: all that decides which weights it ends with."""
    experiment = job.experiment
    return run_config(job, source, data=experiment.data, recipe=experiment.retrain) | {
        "network": spec_to_dict(spec),
        "weights": what.weights,
        **weights_sha256(what.weights),
        **({"supernet_sha256": supernet_sha256} if supernet_sha256 else {}),
        **teacher_sha256(experiment.retrain.losses.distillation),
    }
