"""The result of a network's training: its final weights, and their score."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from evaluation.comparison.row import ResultRow
from reid.data.records import ImageSet
from reid.engine.recipe import Recipe
from reid.engine.runs.checkpoint import save_weights
from reid.engine.runs.run_folder import WEIGHTS, read_metrics
from reid.engine.tasks.objective import speakers
from reid.errors import UserError
from reid.models.network import ReidNetwork
from supernet.catalog import NetworkSpec, for_inference, spec_to_dict
from tools.jobs.data import Source
from tools.jobs.evaluate.known_training import KnownTraining
from tools.jobs.evaluate.result import score_on_test
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.training.teacher import save_classifier
from tools.jobs.words.recipes import recipe_name


def keep(job: Job, trained: nn.Module, spec: NetworkSpec, images: ImageSet) -> tuple[ReidNetwork, NetworkSpec]:
    """Writes the final weights, as the network used for inference, and its classifiers."""
    network, spec = for_inference(trained.network, spec)
    save_weights(job.out / WEIGHTS, network, spec_to_dict(spec))
    head = trained.network.head
    told = trained.classifiers[: speakers(head.rule, len(head.part_dims))]
    save_classifier(job.out, told, job.experiment.retrain.losses, images)
    return network, spec


def score(
    job: Job,
    network: ReidNetwork,
    spec: NetworkSpec,
    source: Source,
    trained_on: str,
    label: str,
    notes: tuple[str, ...],
) -> ResultRow:
    """Scores the network on the official query and gallery."""
    recipe = job.experiment.retrain
    training = KnownTraining(trained_on, epochs_of(job.out, recipe), job.seed, recipe_name(recipe), notes)
    return score_on_test(
        network,
        spec,
        [source],
        job.device,
        job.out,
        kind="searched" if spec.searched else "baseline",
        name=f"{spec.name} ({label})" if label else spec.name,
        training=training,
    )


def epochs_of(run: Path, recipe: Recipe) -> int:
    """The number of epochs trained: the recipe's, or with early stopping that in the records; raises UserError if the
    records are missing."""
    records = read_metrics(run)
    if not records:
        raise UserError(f"{shown(run)}: metrics.jsonl is gone or damaged; restore it, or train into another --out")
    return recipe.epochs if recipe.early_stopping is None else records[-1]["epoch"]


def missing_average(run: Path, recipe: Recipe) -> tuple[str, ...]:
    """A note for the table on a training that stopped before weight averaging began."""
    if recipe.averaging.kind != "swa":
        return ()
    last, first = epochs_of(run, recipe), recipe.averaging.first_epoch(recipe.epochs)
    if last >= first:
        return ()
    return (
        f"early_stopping ended the training after epoch {last}, before averaging (swa) begins in epoch {first}: "
        "these are its last weights, not a mean",
    )
