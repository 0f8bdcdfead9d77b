"""Evaluation of a network while it trains, for choosing the best weights and for early stopping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from reid.engine.batches import TrainingBatches
from reid.engine.recipe import Recipe
from reid.engine.recipe.optimizers import frozen_groups
from reid.engine.recipe.stopping import Mode, best_epoch, check_metric
from reid.engine.training_step import TrainingStep
from reid.errors import UserError

UNSOUND = "unsound"
"""Key in the record of an epoch that ended while the guard doubted its weights, so that they were not saved."""


@dataclass(frozen=True)
class Monitor:
    """An evaluation of the network during training. It must not use test data.

    Attributes:
        evaluate: returns named numbers of a task for the log; the names must differ from the training's own.
        metric: the number that decides which weights are best.
        mode: whether greater or smaller values are better.
        keep: called with the task whenever ``metric`` is the best so far.
    """

    evaluate: Callable[[nn.Module], dict[str, float]]
    metric: str = "holdout_mAP"
    mode: Mode = "max"
    keep: Callable[[nn.Module], None] = lambda task: None


def settle(step: TrainingStep, batches: TrainingBatches, epoch: int) -> None:
    """Recomputes the BN statistics of averaged weights, which averaging leaves wrong, except in parts that were frozen
    in all epochs up to ``epoch`` and whose average is therefore constant."""
    if step.average is not None and step.average.needs_calibration and step.average.started:
        step.result.recalibrate(batches.calibration(), frozen_groups(step.recipe.optimizer, epoch))


def look(
    step: TrainingStep, batches: TrainingBatches, record: dict[str, Any], monitor: Monitor | None
) -> dict[str, float]:
    """The monitor's numbers for the weights as they would be kept now; empty in epochs in which it does not evaluate.

    Raises:
        UserError: they would overwrite fields of the epoch's ``record``.
    """
    if monitor is None or not _is_looked_at(record["epoch"], step.recipe):
        return {}
    settle(step, batches, record["epoch"])
    seen = monitor.evaluate(step.result)
    for name in sorted(seen.keys() & record.keys()):
        raise UserError(f"the monitor's '{name}' is a field of the training's own record; give it another name")
    return seen


def _is_looked_at(epoch: int, recipe: Recipe) -> bool:
    every = recipe.evaluate_every
    return bool(every) and (epoch % every == 0 or epoch == recipe.epochs)


def check_stopping(record: dict[str, Any], recipe: Recipe, monitor: Monitor | None) -> None:
    """Raises UserError for early stopping by a field that no record has, which would silently never stop."""
    if recipe.early_stopping is None or record["epoch"] == recipe.epochs:
        return
    never_looked_at = monitor is None or not recipe.evaluate_every
    if never_looked_at or _is_looked_at(record["epoch"], recipe):
        check_metric(record, recipe.early_stopping)


def keep_best(step: TrainingStep, records: list[dict[str, Any]], monitor: Monitor | None) -> bool:
    """Lets the monitor keep the weights of the last record if the recipe wants the best ones and no earlier ones were
    as good; returns whether it did."""
    if not step.recipe.keep_best or monitor is None or monitor.metric not in records[-1]:
        return False
    # Weights of unsound epochs were not kept, however well they scored; those of the last epoch always are.
    kept = [record for record in records if UNSOUND not in record or record is records[-1]]
    best = best_epoch(kept, monitor.metric, monitor.mode) == records[-1]["epoch"]
    if best:
        monitor.keep(step.result)
    return best
