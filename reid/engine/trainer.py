"""The training loop. Every network here, searched or not, and the supernet itself, is trained by it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from reid.engine.batches import TrainingBatches
from reid.engine.checkpoint import load_state, save_state
from reid.engine.distributed import SINGLE, Processes, barrier, broadcast_parameters, gather_batch
from reid.engine.doctor import TrainingFacts
from reid.engine.journal import Journal
from reid.engine.optimizers import freeze, frozen_groups
from reid.engine.process_memory import peak_memory_mib
from reid.engine.recipe import Recipe
from reid.engine.stopping import best_epoch, should_stop
from reid.engine.sync_batch_norm import sync_batch_norm
from reid.engine.training_step import TrainingStep
from reid.errors import UserError

STATE = "checkpoint.pt"
READ_EVERY = 20
"""Steps between looks at the loss: each look waits for the device."""


@dataclass(frozen=True)
class Monitor:
    """A look at the network while it trains. It must not touch test data.

    Attributes:
        evaluate: gives named fractions of a task for the log.
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
) -> nn.Module:
    """Trains ``task`` by ``recipe``; goes on from the run's checkpoint where there is one.

    After every epoch the run folder holds a checkpoint (atomic), a line in ``metrics.jsonl`` and TensorBoard's events.
    A run that is interrupted anywhere and resumed ends with the weights of an unbroken one: everything random is a
    function of seed, epoch and step.

    Args:
        task: a module that follows ``Task``, with fresh weights; moved to ``device``.
        batches: its training data, this process's share.
        run: the run folder (``open_run``); with several processes a folder that all of them see.
        monitor: looked at every ``recipe.evaluate_every`` epochs.
        facts: what the training doctor must know; without them it is not asked.
        processes: those that train together; the first one alone writes.
        on_estimate: told the seconds the whole training will take, once, after the first steps.
        title: for the progress bar.

    Returns:
        The task with the weights that are kept: ``task`` itself, or a copy with the averaged weights.

    Raises:
        UserError: the loss is no longer a finite number.
    """
    task.to(device=device, memory_format=torch.channels_last if recipe.channels_last else torch.contiguous_format)
    broadcast_parameters(processes, task)
    step = TrainingStep(task, recipe, device, batches.per_epoch, batches.seed, processes)
    if recipe.sync_batch_norm:
        sync_batch_norm(processes, task)  # after the step has made its copy for averages, which one process evaluates
    done = _restore(run, step)
    if done < recipe.epochs:
        tell = on_estimate if processes.is_main else lambda seconds: None
        estimate = _Estimate(tell, (recipe.epochs - done) * batches.per_epoch)
        with contextlib.ExitStack() as stack:
            bar = stack.enter_context(_progress(title, batches.per_epoch, done, recipe.epochs, processes))
            journal = stack.enter_context(Journal(run, done, facts, tqdm.write)) if processes.is_main else None
            for epoch in range(done + 1, recipe.epochs + 1):
                if _is_over(journal, recipe, processes):
                    break
                record = _run_epoch(step, batches, epoch, bar, estimate)
                if journal is not None:
                    record |= _look(step, batches, epoch, monitor)
                    journal.write(record)
                    _keep_best(step, journal.records, monitor)
                    save_state(run / STATE, step.state() | {"epoch": epoch})
                barrier(processes)
    _settle(step, batches)
    return step.result


def _progress(title: str, per_epoch: int, done: int, epochs: int, processes: Processes) -> tqdm:
    return tqdm(
        total=epochs * per_epoch,
        initial=done * per_epoch,
        desc=title,
        unit="step",
        mininterval=1.0,
        disable=not processes.is_main,
    )


def _is_over(journal: Journal | None, recipe: Recipe, processes: Processes) -> bool:
    """Whether the training stops early; the first process decides for all."""
    if recipe.early_stopping is None:
        return False
    over = journal is not None and should_stop(journal.records, recipe.early_stopping)
    return bool(gather_batch(processes, torch.tensor([over], device=processes.device))[0])


def _settle(step: TrainingStep, batches: TrainingBatches) -> None:
    """Averaged weights have BN statistics of no network: they are measured anew."""
    if step.average is not None and step.average.needs_calibration and step.average.started:
        step.result.recalibrate(batches.calibration())


def _look(step: TrainingStep, batches: TrainingBatches, epoch: int, monitor: Monitor | None) -> dict[str, float]:
    """What the monitor says of the weights as they would be kept now, on the epochs when it is asked."""
    every = step.recipe.evaluate_every
    if monitor is None or not every or (epoch % every and epoch != step.recipe.epochs):
        return {}
    _settle(step, batches)
    return monitor.evaluate(step.result)


def _keep_best(step: TrainingStep, records: list[dict[str, Any]], monitor: Monitor | None) -> None:
    if step.recipe.keep_best and monitor is not None and monitor.metric in records[-1]:
        if best_epoch(records, monitor.metric) == records[-1]["epoch"]:
            monitor.keep(step.result)


class _Estimate:
    """Tells once how long the whole training will take, from the steps after the first few (those warm up caches)."""

    SKIP, COUNT = 3, 10

    def __init__(self, tell: Callable[[float], None], steps: int) -> None:
        self.tell, self.steps, self.seen, self.start = tell, steps, 0, 0.0

    def step(self) -> None:
        self.seen += 1
        if self.seen == self.SKIP:
            self.start = time.perf_counter()
        elif self.seen == self.SKIP + self.COUNT:
            self.tell((time.perf_counter() - self.start) / self.COUNT * self.steps)


def _run_epoch(
    step: TrainingStep, batches: TrainingBatches, epoch: int, bar: tqdm, estimate: _Estimate
) -> dict[str, float]:
    """One epoch; returns its record: means of the log's scalars, rate, images/s of all processes, peak memory."""
    step.task.train()
    freeze(step.task, step.optimizer, frozen_groups(step.recipe.optimizer, epoch))
    sums: dict[str, torch.Tensor] = {}
    start, count, rate, images_seen = time.perf_counter(), 0, 0.0, 0
    for count, (images, labels) in enumerate(batches.epoch(epoch), start=1):
        log, rate = step(images, labels, (epoch - 1) * batches.per_epoch + count - 1)
        sums = {name: sums[name] + value if sums else value for name, value in log.items()}
        images_seen += len(labels) * step.processes.world_size
        estimate.step()
        if count % READ_EVERY == 0 or count == batches.per_epoch:
            mean = float(sums["loss"]) / count
            if not math.isfinite(mean):
                raise UserError(f"the loss is not finite in epoch {epoch}; lower optimizer.lr or set clip_gradient")
            bar.set_postfix(epoch=epoch, loss=f"{mean:.3f}", lr=f"{rate:.1e}", refresh=False)
        bar.update()
    record = {name: float(total) / count for name, total in sums.items()}
    record |= {"epoch": epoch, "lr": rate, "images_per_second": images_seen / (time.perf_counter() - start)}
    return record | {"peak_memory_mib": peak_memory_mib(step.device)}


def _restore(run: Path, step: TrainingStep) -> int:
    """Puts the run's checkpoint back, if there is one; returns the epochs already done."""
    if not (run / STATE).exists():
        return 0
    state = load_state(run / STATE, step.device)
    try:
        step.load_state(state)
    except (RuntimeError, KeyError) as error:  # the configuration is the same (open_run), the data need not be
        what = str(error).splitlines()[-1].strip()
        raise UserError(f"{run / STATE} is of another network or other data ({what}); use another --out") from None
    return state["epoch"]
