"""The training loop. Every network here, searched or not, and the supernet itself, is trained by it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from reid.engine.batches import TrainingBatches
from reid.engine.doctor import TrainingFacts
from reid.engine.epoch import Estimate, run_epoch
from reid.engine.guard.guard import STATE, BlownUp, Guard
from reid.engine.machine.distributed import SINGLE, Processes, barrier, broadcast_parameters, gather_batch
from reid.engine.machine.process_memory import reset_peak_memory
from reid.engine.machine.sync_batch_norm import sync_batch_norm
from reid.engine.partway import Partway
from reid.engine.recipe import Recipe
from reid.engine.recipe.optimizers import frozen_groups
from reid.engine.recipe.stopping import best_epoch, check_metric, should_stop
from reid.engine.runs.checkpoint import save_state
from reid.engine.runs.journal import Journal, complete
from reid.engine.training_step import TrainingStep
from reid.errors import UserError

__all__ = ["STATE", "Monitor", "fit"]

UNSOUND = "unsound"
"""In the record of an epoch that ended while the guard doubted its weights: they were not kept."""


@dataclass(frozen=True)
class Monitor:
    """A look at the network while it trains. It must not touch test data.

    Attributes:
        evaluate: gives named numbers of a task for the log, none of them called as the training's own are.
        metric: the one that the best weights and early stopping go by.
        keep: told the task whenever ``metric`` is the best so far.
    """

    evaluate: Callable[[nn.Module], dict[str, float]]
    metric: str = "holdout_mAP"
    keep: Callable[[nn.Module], None] = lambda task: None


def fit(
    task: nn.Module,
    batches: TrainingBatches,
    recipe: Recipe,
    run: Path,
    device: torch.device,
    *,
    monitor: Monitor | None = None,
    facts: TrainingFacts | None = None,
    processes: Processes = SINGLE,
    on_estimate: Callable[[float], None] = lambda seconds: None,
    title: str = "training",
    progress: bool = True,
) -> nn.Module:
    """Trains ``task`` by ``recipe``; goes on from the run's checkpoint where there is one.

    After every epoch the run folder holds a line in ``metrics.jsonl``, TensorBoard's events and, every
    ``recipe.checkpoint_every`` epochs, a checkpoint (atomic); within a long one the state of some minute before.
    A run that is interrupted anywhere and resumed ends with the weights of an unbroken one: everything random is a
    function of seed, epoch and step. So does one that blows up: it goes back to its last sound epoch and on from there
    at a lower rate (``recipe.guard``).

    Args:
        task: a module that follows ``Task``, with fresh weights; moved to ``device``.
        batches: its training data, this process's share.
        run: the run folder (``open_run``); with several processes a folder that all of them see.
        monitor: looked at every ``recipe.evaluate_every`` epochs.
        facts: what the training doctor must know; without them it is not asked.
        processes: those that train together; the first one alone writes.
        on_estimate: told the seconds the training will take, once, after its first steps; where parts are fixed at
            first, after the first steps behind these epochs, from there on.
        title: for the progress bar.
        progress: show the bar, and say between its lines what the guard does and the doctor finds.

    Returns:
        The task with the weights that are kept: ``task`` itself, or a copy with the averaged weights.

    Raises:
        UserError: the training blew up more often than it may be taken back, or stops early by what is not measured.
    """
    reset_peak_memory(device)
    task.to(device=device, memory_format=torch.channels_last if recipe.channels_last else torch.contiguous_format)
    broadcast_parameters(processes, task)
    step = TrainingStep(task, recipe, device, batches.per_epoch, batches.seed, processes)
    if recipe.sync_batch_norm:
        sync_batch_norm(processes, task)  # after the step has made its copy for averages, which one process evaluates
    guard = Guard(run, step)
    guard.restore()
    partway = Partway(guard)
    done, begun = partway.restore()
    if done < recipe.epochs:
        tell = on_estimate if processes.is_main else lambda seconds: None
        estimate = Estimate(tell, device)
        say = tqdm.write if progress else lambda line: None
        with contextlib.ExitStack() as stack:
            shown = progress and processes.is_main
            at, steps = done * batches.per_epoch + begun, recipe.epochs * batches.per_epoch
            bar = stack.enter_context(_progress(title, at, steps, shown))
            journal = stack.enter_context(Journal(run, done, facts, say)) if processes.is_main else None
            while done < recipe.epochs and not _is_over(journal, recipe, processes):
                try:
                    record = run_epoch(step, batches, done + 1, guard, partway, bar, estimate)
                except BlownUp as blown:
                    done = _go_back(guard, done + 1, blown, journal, bar)
                    partway.drop()
                    continue
                done += 1
                if journal is not None:
                    record |= guard.told(done)
                    record |= _look(step, batches, record, monitor)
                    record |= {} if guard.sound else {UNSOUND: True}
                    journal.write(record)
                    _check_stopping(record, recipe, monitor)
                _save(guard, done, journal, monitor)
                if guard.saved_epoch == done:
                    partway.drop()
                barrier(processes)
            if done < recipe.epochs and guard.sound:  # stopped early, in an epoch that need not have had a checkpoint
                _write(guard, done, journal)
                partway.drop()
                barrier(processes)
    elif processes.is_main:
        complete(run, done, facts)
        partway.drop()
    _settle(step, batches, done)
    return step.result


def _progress(title: str, at: int, steps: int, shown: bool) -> tqdm:
    return tqdm(total=steps, initial=at, desc=title, unit="step", mininterval=1.0, disable=not shown)


def _is_over(journal: Journal | None, recipe: Recipe, processes: Processes) -> bool:
    """Whether the training stops early; the first process decides for all."""
    if recipe.early_stopping is None:
        return False
    over = journal is not None and should_stop(journal.records, recipe.early_stopping)
    return bool(gather_batch(processes, torch.tensor([over], device=processes.device))[0])


def _go_back(guard: Guard, epoch: int, blown: BlownUp, journal: Journal | None, bar: tqdm) -> int:
    """Takes the training back after ``epoch`` blew up; returns the epoch that is now the last one done."""
    rollback = guard.go_back(epoch, str(blown))
    if journal is not None:
        journal.go_back(rollback.to, f"guard: {rollback} ({len(guard.rollbacks)} of {guard.config.rollbacks})")
    bar.reset()
    bar.update(rollback.to * guard.step.per_epoch)
    barrier(guard.step.processes)
    return rollback.to


def _save(guard: Guard, epoch: int, journal: Journal | None, monitor: Monitor | None) -> None:
    """Writes the checkpoint of ``epoch``, if it is one's turn and unless the guard would not go back to it."""
    if not guard.sound and epoch < guard.step.recipe.epochs:
        return
    if journal is not None:
        _keep_best(guard.step, journal.records, monitor)
    if epoch % guard.step.recipe.checkpoint_every == 0 or epoch == guard.step.recipe.epochs:
        _write(guard, epoch, journal)


def _write(guard: Guard, epoch: int, journal: Journal | None) -> None:
    """Writes the checkpoint of ``epoch``; the first process does, all note that it is there."""
    if journal is not None:
        save_state(guard.run / STATE, guard.state(epoch))
    guard.saved(epoch)


def _settle(step: TrainingStep, batches: TrainingBatches, epoch: int) -> None:
    """Averaged weights have BN statistics of no network: they are measured anew, but for parts that were fixed in all
    epochs up to ``epoch``, of which every average is the same."""
    if step.average is not None and step.average.needs_calibration and step.average.started:
        step.result.recalibrate(batches.calibration(), frozen_groups(step.recipe.optimizer, epoch))


def _look(
    step: TrainingStep, batches: TrainingBatches, record: dict[str, Any], monitor: Monitor | None
) -> dict[str, float]:
    """What the monitor says of the weights as they would be kept now, on the epochs when it is asked.

    Raises:
        UserError: it would write over what the epoch's ``record`` has.
    """
    if monitor is None or not _is_looked_at(record["epoch"], step.recipe):
        return {}
    _settle(step, batches, record["epoch"])
    seen = monitor.evaluate(step.result)
    for name in sorted(seen.keys() & record.keys()):
        raise UserError(f"the monitor's '{name}' is a field of the training's own record; give it another name")
    return seen


def _is_looked_at(epoch: int, recipe: Recipe) -> bool:
    every = recipe.evaluate_every
    return bool(every) and (epoch % every == 0 or epoch == recipe.epochs)


def _check_stopping(record: dict[str, Any], recipe: Recipe, monitor: Monitor | None) -> None:
    """Early stopping by a field that no record has would be none, without a word."""
    if recipe.early_stopping is None or record["epoch"] == recipe.epochs:
        return
    never_looked_at = monitor is None or not recipe.evaluate_every
    if never_looked_at or _is_looked_at(record["epoch"], recipe):
        check_metric(record, recipe.early_stopping)


def _keep_best(step: TrainingStep, records: list[dict[str, Any]], monitor: Monitor | None) -> None:
    if step.recipe.keep_best and monitor is not None and monitor.metric in records[-1]:
        # Weights of an unsound epoch were not kept, however well they scored. The last epoch's are, as they always are.
        kept = [record for record in records if UNSOUND not in record or record is records[-1]]
        if best_epoch(kept, monitor.metric) == records[-1]["epoch"]:
            monitor.keep(step.result)
