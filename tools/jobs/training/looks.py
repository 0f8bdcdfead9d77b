"""Evaluations of a network during training: on held-out identities, never on test data, or by a caller's function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from torch import nn

from evaluation.features.extraction import evaluate_network
from reid.data.records import ImageSet
from reid.engine.recipe import Recipe
from reid.engine.recipe.stopping import Mode, best_epoch, check_mode
from reid.engine.runs.checkpoint import save_weights
from reid.engine.runs.run_folder import read_metrics
from reid.engine.runs.tags import TAGS
from reid.engine.tasks.objective import loss_names
from reid.engine.trainer import Monitor
from reid.errors import UserError, nearest
from reid.losses.config import LossConfig
from reid.models.network import ReidNetwork
from supernet.catalog import NetworkSpec, for_inference, spec_to_dict
from tools.jobs.data import Source, search_data
from tools.jobs.job import Job

BEST = "best.safetensors"

HELD_OUT = ("holdout_mAP", "holdout_rank1")
"""Names of the scores on held-out identities in the training's records."""


@dataclass(frozen=True)
class OwnEvaluation:
    """A user's function that evaluates the network every ``evaluate_every`` epochs.

    Attributes:
        evaluate: called with the network in eval mode, on the training's device and with autograd off; returns numbers
            by name. They appear in ``metrics.jsonl``, TensorBoard and the curves, beside the scores on held-out
            identities if there are any. Names that the training's records already use are refused.
        metric: the number that ``keep_best`` uses.
        mode: ``"max"``, or ``"min"`` if less is better, as for every loss.
    """

    evaluate: Callable[[ReidNetwork], Mapping[str, float]]
    metric: str
    mode: Mode = "max"

    def __post_init__(self) -> None:
        """Raises UserError if the mode is unknown, or is ``"max"`` for a loss (see ``check_mode``)."""
        if self.mode not in get_args(Mode):
            raise UserError(f"OwnEvaluation: mode {self.mode!r}: must be 'max' or 'min'")
        try:
            check_mode(self.metric, self.mode)
        except ValueError as error:
            raise UserError(f"OwnEvaluation: {error}") from None


def held_out(job: Job, source: Source, own: OwnEvaluation | None = None) -> tuple[ImageSet, ImageSet] | None:
    """The held-out identities as query and gallery; ``None`` if they are trained on or nothing is to be evaluated.

    Raises:
        UserError: the recipe uses their score, but they are not held out or never evaluated; it uses a metric that is
            never measured; it never calls ``own``, or its early stopping and ``own`` disagree on the metric's mode.
    """
    recipe, data = job.experiment.retrain, job.experiment.data
    if recipe.early_stopping is not None and own is None:
        _check_measured(recipe.early_stopping.metric, recipe.losses)
    if own is not None and not recipe.evaluate_every:
        raise UserError("retrain.evaluate_every is 0: your own evaluation would never be called; set it above 0")
    if own is not None and recipe.early_stopping is not None:
        stopping = recipe.early_stopping
        if (stopping.metric, own.mode) == (own.metric, "min" if stopping.mode == "max" else "max"):
            raise UserError(
                f"retrain.early_stopping.mode is {stopping.mode}, and your own evaluation's mode for {own.metric} is "
                f"{own.mode}; give both the same"
            )
    if data.retrain_on_holdout or not recipe.evaluate_every:
        stops = recipe.early_stopping is not None and recipe.early_stopping.metric.startswith("holdout_")
        keeps = recipe.keep_best and own is None
        if keeps or stops:
            raise UserError(
                f"retrain.{'keep_best' if keeps else 'early_stopping'} depends on scores on held-out identities; set "
                "data.retrain_on_holdout=false and retrain.evaluate_every above 0"
            )
        return None
    held = search_data(source, job.experiment.data)
    return held.query, held.gallery


def monitor_of(
    job: Job, spec: NetworkSpec, held: tuple[ImageSet, ImageSet] | None, own: OwnEvaluation | None = None
) -> Monitor | None:
    """Measures mAP and Rank-1 on ``held`` and the numbers of ``own``, if given. The weights that are best by
    ``own.metric``, or else by the mAP, are kept as ``BEST``."""
    if held is None and own is None:
        return None

    def evaluate(task: nn.Module) -> dict[str, float]:
        seen = {}
        if held is not None:
            score = evaluate_network(task.network, *held, spec.input_size, job.device)
            seen |= dict(zip(HELD_OUT, (score.mAP, score.rank1), strict=True))
        return seen if own is None else _with(seen, own, task.network)

    def keep(task: nn.Module) -> None:
        network, kept = for_inference(task.network, spec)
        save_weights(job.out / BEST, network, spec_to_dict(kept))

    return Monitor(evaluate, *best_by(own), keep)


def best_by(own: OwnEvaluation | None) -> tuple[str, Mode]:
    """The metric that selects the best weights, and whether more or less of it is better."""
    return (own.metric, own.mode) if own is not None else (HELD_OUT[0], "max")


def best_at(run: Path, epochs: int, metric: str, mode: Mode = "max") -> Path | None:
    """A run's best weights if they date from its first ``epochs``; later evaluations may have replaced them."""
    best = best_epoch(read_metrics(run), metric, mode)
    return run / BEST if best is not None and best <= epochs and (run / BEST).is_file() else None


def missing_best(run: Path, recipe: Recipe, taken_over: bool = False) -> tuple[str, ...]:
    """A note for the table on a training whose best weights were requested but are missing; ``taken_over``: it ends
    another training (see ``tools.jobs.training.cool_down``)."""
    if not recipe.keep_best or (run / BEST).is_file():
        return ()
    later = "the best evaluation came after the checkpoint that it continues from, " if taken_over else ""
    return (f"keep_best is set and there is no {BEST}: {later}it was removed, or no evaluation gave a number",)


def _check_measured(metric: str, losses: LossConfig) -> None:
    """Checks before training; the loop would notice only at its first evaluation, which may be an hour away."""
    measured = (*HELD_OUT, *TAGS, *loss_names(losses))
    if metric not in measured:
        known = nearest(metric, measured) or f"; known: {', '.join(measured)}"
        raise UserError(f"retrain.early_stopping.metric '{metric}' is never measured{known}")


@torch.no_grad()
def _with(seen: dict[str, float], own: OwnEvaluation, network: ReidNetwork) -> dict[str, float]:
    """``seen`` plus the numbers of ``own``; raises UserError if names clash or ``own.metric`` is missing."""
    numbers = {name: float(value) for name, value in own.evaluate(network.eval()).items()}
    for name in sorted(numbers.keys() & seen.keys()):
        raise UserError(
            f"the evaluation's '{name}' is the name of a score on held-out identities; give it another name"
        )
    if own.metric not in numbers:
        raise UserError(
            f"the evaluation returned no '{own.metric}', which is its metric; it returned: {', '.join(numbers)}"
        )
    return seen | numbers
