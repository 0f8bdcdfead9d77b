"""The job of ``tools/retrain.py``."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from evaluation.comparison import ResultRow
from evaluation.features.extraction import evaluate_network
from evaluation.report.training import write_training_report
from reid.data.records import ImageSet
from reid.engine.batches import TrainingBatches, training_batches
from reid.engine.checkpoint import save_weights
from reid.engine.device import describe_device, seeded
from reid.engine.distributed import Processes, barrier, from_environment, process_group
from reid.engine.identity_task import IdentityTask
from reid.engine.recipe import Recipe
from reid.engine.rollback import read_rollbacks
from reid.engine.run_folder import open_run, read_metrics
from reid.engine.trainer import Monitor, fit
from reid.errors import UserError
from reid.models.backbones.weights import load_pretrained
from reid.models.network import ReidNetwork, count_parameters
from search.cost import format_flops, network_flops
from supernet.catalog import NetworkSpec, build, find_network, for_inference, spec_to_dict
from supernet.files import ARCHS, load_space
from tools.cli import Job
from tools.jobs.data import Source, open_source, retrain_data, search_data, train_set_words
from tools.jobs.facts import training_facts
from tools.jobs.inherit import Inheritance, inherit, inherited_run, start_from
from tools.jobs.opening import announce, recipe_lines, shown, tell_estimate
from tools.jobs.provenance import run_config
from tools.jobs.result import WEIGHTS, score_on_test
from tools.jobs.teacher import load_teacher, save_classifier

BEST = "best.safetensors"


@dataclass(frozen=True)
class Retraining:
    """What to train.

    Attributes:
        network: name or path; see ``find_network``.
        search: a search's run folder, whose archs are looked up before ``configs/archs``.
        weights: where the backbone's weights come from (see ``load_pretrained``), ``supernet:<run folder>`` for those
            that a supernet has for the arch (see ``tools.jobs.inherit``), or None for from scratch.
        label: set beside the network's name in tables, to tell recipes apart.
    """

    network: str
    search: Path
    weights: str | None = None
    label: str = ""


def retrain(job: Job, what: Retraining) -> Path:
    """Trains a network and scores the weights that it ends with on the test set; returns the run folder.

    Under ``torchrun`` its processes train one network together.
    """
    with process_group(from_environment(job.device)) as processes:
        return _retrain(dataclasses.replace(job, device=processes.device), what, processes)


def _retrain(job: Job, what: Retraining, processes: Processes) -> Path:
    experiment, recipe = job.experiment, job.experiment.retrain
    spec, path = find_network(
        what.network,
        [what.search / "archs"],
        experiment.input_size,
        load_space(experiment.space).input_size,
        experiment.last_stride,
        recipe.head,
    )
    if not processes.is_main:
        barrier(processes)  # the first process makes the synthetic set and the decoded cache for all
    source = open_source(experiment.data, job.data, spec.input_size)
    images = retrain_data(source, experiment.data)
    supernet = inherited_run(what.weights)
    inherited = inherit(supernet, spec, source, job) if supernet else None
    with seeded(job.seed):
        batches = training_batches(images, recipe, spec.input_size, job.seed, job.device, processes)
        network = build(spec)
        if inherited:
            pretrained = start_from(network, inherited)
        else:
            pretrained = load_pretrained(network.backbone, what.weights) if what.weights else None
        teacher = load_teacher(recipe.losses.distillation, images, spec.input_size, job)
        task = IdentityTask(network, batches.classes, recipe.losses, teacher)
        _try(network, spec.input_size)
    held = _held_out(job, source)
    facts = training_facts(recipe, images, batches.per_epoch, held, source)
    trained_on = _trained_on(source, images, what.weights, recipe, inherited)
    # Only now, when data and settings have been found to fit: a folder that is begun cannot be begun again.
    if processes.is_main:
        about = run_config(job, source, data=experiment.data, recipe=recipe) | {
            "network": spec_to_dict(spec),
            "weights": what.weights,
            **({"supernet_sha256": inherited.sha256} if inherited else {}),
        }
        open_run(job.out, about, job.resume)
        _announce(job, spec, path, network, source, trained_on, batches, pretrained, processes)
        barrier(processes)
    trained = fit(
        task,
        batches,
        recipe,
        job.out,
        job.device,
        monitor=held and _monitor(job, spec, held),
        facts=facts,
        processes=processes,
        on_estimate=tell_estimate(job.device),
        title=spec.name,
    )
    if processes.is_main:
        _finish(job, trained, spec, source, images, trained_on, what.label)
    barrier(processes)
    return job.out


def _try(network: ReidNetwork, size: tuple[int, int]) -> None:
    """Raises what a head has against the map of this input size; on a copy, whose BN may move."""
    with torch.no_grad():
        copy.deepcopy(network).train().outputs(torch.zeros(2, 3, *size))


def _finish(
    job: Job, trained: nn.Module, spec: NetworkSpec, source: Source, images: ImageSet, trained_on: str, label: str
) -> ResultRow:
    """Keeps the weights, and scores them on the official query and gallery."""
    network, spec = for_inference(trained.network, spec)
    save_weights(job.out / WEIGHTS, network, spec_to_dict(spec))
    save_classifier(job.out, trained.classifiers[0], job.experiment.retrain.losses.classification, images)
    row = score_on_test(
        network,
        spec,
        source,
        job.device,
        job.out,
        kind="searched" if spec.searched else "baseline",
        name=f"{spec.name} ({label})" if label else spec.name,
        epochs=read_metrics(job.out)[-1]["epoch"],
        seed=job.seed,
        train_set=trained_on,
        notes=_taken_back(job.out),
    )
    write_training_report(job.out)
    return row


def _taken_back(run: Path) -> tuple[str, ...]:
    """What a reader of the table must know of a training that was not by the recipe's rate to its end."""
    return tuple(f"the training blew up and was taken back: {rollback}" for rollback in read_rollbacks(run))


def _trained_on(
    source: Source, images: ImageSet, weights: str | None, recipe: Recipe, inherited: Inheritance | None
) -> str:
    """What a table says of the data that made the network; rows that differ in it are not compared."""
    words = train_set_words(source, images)
    if inherited:
        words = f"{inherited.words}, then {recipe.epochs} epoch{'s' if recipe.epochs > 1 else ''} of {words}"
    elif weights:
        words = f"{'ImageNet' if weights == 'imagenet' else weights} weights, then {words}"
    if recipe.losses.distillation.teacher:
        words += f", taught by {recipe.losses.distillation.teacher}"
    return words


def _held_out(job: Job, source: Source) -> tuple[ImageSet, ImageSet] | None:
    """The held-out identities as query and gallery, where those are not trained on; test data are never looked at while
    training.

    Raises:
        UserError: the recipe goes by their score, and they are not held out or never looked at.
    """
    recipe, data = job.experiment.retrain, job.experiment.data
    if data.retrain_on_holdout or not recipe.evaluate_every:
        stops = recipe.early_stopping is not None and recipe.early_stopping.metric.startswith("holdout_")
        if recipe.keep_best or stops:
            raise UserError(
                f"retrain.{'keep_best' if recipe.keep_best else 'early_stopping'} goes by held-out identities; set "
                "data.retrain_on_holdout=false and retrain.evaluate_every above 0"
            )
        return None
    held = search_data(source, job.experiment.data)
    return held.query, held.gallery


def _monitor(job: Job, spec: NetworkSpec, held: tuple[ImageSet, ImageSet]) -> Monitor:
    """mAP on the held-out identities."""

    def evaluate(task: nn.Module) -> dict[str, float]:
        score = evaluate_network(task.network, *held, spec.input_size, job.device)
        return {"holdout_mAP": score.mAP, "holdout_rank1": score.rank1}

    def keep(task: nn.Module) -> None:
        network, kept = for_inference(task.network, spec)
        save_weights(job.out / BEST, network, spec_to_dict(kept))

    return Monitor(evaluate, keep=keep)


def _announce(
    job: Job,
    spec: NetworkSpec,
    path: Path | None,
    network: ReidNetwork,
    source: Source,
    trained_on: str,
    batches: TrainingBatches,
    pretrained: object | None,
    processes: Processes,
) -> None:
    height, width = spec.input_size
    network, _ = for_inference(network, spec)
    flops = format_flops(network_flops(network.eval(), spec.input_size))
    shadowed = path is not None and path.parent != ARCHS and (ARCHS / path.name).exists()
    together = f", one of {processes.world_size} processes" if processes.several else ""
    announce(
        f"training {spec.name} {'from its weights' if pretrained else 'from scratch'} in {shown(job.out)}",
        [
            ("note", source.notice),
            ("data", trained_on),
            ("network", f"{spec.name}, {height}x{width}, {count_parameters(network) / 1e6:.2f}M parameters"),
            ("arch file", path and shown(path)),
            ("note", f"{shown(ARCHS / path.name)} has the same name and is not the one used" if shadowed else None),
            ("weights", pretrained and str(pretrained)),
            ("FLOPs", flops),
            *recipe_lines(job.experiment.retrain),
            ("batches", f"{batches.per_epoch} an epoch"),
            ("device", describe_device(job.device) + together),
        ],
    )
