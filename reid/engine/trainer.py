"""The training loop for all networks: searched or not, and the supernet itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
from reid.engine.monitor import UNSOUND, Monitor, check_stopping, keep_best, look, settle
from reid.engine.partway import Partway
from reid.engine.recipe import Recipe
from reid.engine.recipe.stopping import should_stop
from reid.engine.runs.checkpoint import save_state
from reid.engine.runs.journal import Journal, complete
from reid.engine.training_step import TrainingStep

__all__ = ["STATE", "Monitor", "fit"]


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
    """Trains ``task`` by ``recipe``; continues from the run's checkpoint if there is one.

    After every epoch, the run folder holds a line in ``metrics.jsonl``, TensorBoard's events and, every
    ``recipe.checkpoint_every`` epochs, a checkpoint (atomic); within a long epoch, a state at most about a minute old.
    A run that is interrupted anywhere and resumed ends with the weights of an uninterrupted one, since everything
    random is a function of seed, epoch and step. If a training blows up, it returns to its last sound epoch and
    continues from there at a lower rate (``recipe.guard``); such a run can be resumed in the same way.

    Args:
        task: a module that follows ``Task``, with fresh weights; moved to ``device``.
        batches: its training data; this process's share.
        run: the run folder (``open_run``); with several processes, a folder that all of them can access.
        monitor: evaluated every ``recipe.evaluate_every`` epochs.
        facts: what the training doctor needs to know; without them it does not run.
        processes: those that train together; only the first one writes.
        on_estimate: called once, after the first steps, with the seconds that the training will take; if parts are
            frozen at first, after the first steps following these epochs, for the time from there on.
        title: for the progress bar.
        progress: whether to show the bar, and to print the guard's actions and the doctor's findings above it.

    Returns:
        The task with the weights to keep: ``task`` itself, or a copy with the averaged weights.

    Raises:
        UserError: the training blew up more often than allowed, or early stopping names a metric that is not measured.
    """
    reset_peak_memory(device)
    task.to(device=device, memory_format=torch.channels_last if recipe.channels_last else torch.contiguous_format)
    broadcast_parameters(processes, task)
    step = TrainingStep(task, recipe, device, batches.per_epoch, batches.seed, processes)
    if recipe.sync_batch_norm:
        sync_batch_norm(processes, task)  # after the step has copied it for averages, which a single process evaluates
    guard = Guard(run, step)
    guard.restore()
    partway = Partway(guard)
    done, begun = partway.restore()
    if done < recipe.epochs:
        tell = on_estimate if processes.is_main else lambda seconds: None
        say = tqdm.write if progress else lambda line: None
        at, steps = done * batches.per_epoch + begun, recipe.epochs * batches.per_epoch
        with contextlib.ExitStack() as stack:
            bar = stack.enter_context(_progress(title, at, steps, shown=progress and processes.is_main))
            journal = stack.enter_context(Journal(run, done, facts, say)) if processes.is_main else None
            loop = _Loop(step, batches, guard, partway, monitor, journal, bar, Estimate(tell, device))
            while done < recipe.epochs and not loop.is_over():
                done = loop.epoch(done + 1)
            if done < recipe.epochs:
                loop.end_early(done)
    elif processes.is_main:
        complete(run, done, facts)
        partway.drop()
    settle(step, batches, done)
    return step.result


def _progress(title: str, at: int, steps: int, shown: bool) -> tqdm:
    return tqdm(total=steps, initial=at, desc=title, unit="step", mininterval=1.0, disable=not shown)


@dataclass(frozen=True, eq=False)
class _Loop:
    """The shared state of a training's epochs; only the first process has a ``journal``."""

    step: TrainingStep
    batches: TrainingBatches
    guard: Guard
    partway: Partway
    monitor: Monitor | None
    journal: Journal | None
    bar: tqdm
    estimate: Estimate

    def is_over(self) -> bool:
        """Whether the training stops early; the first process decides for all."""
        stopping = self.step.recipe.early_stopping
        if stopping is None:
            return False
        return self._agreed(self.journal is not None and should_stop(self.journal.records, stopping))

    def _agreed(self, seen: bool) -> bool:
        """The first process's value of ``seen``, in all processes."""
        processes = self.step.processes
        return bool(gather_batch(processes, torch.tensor([seen], device=processes.device))[0])

    def epoch(self, number: int) -> int:
        """Trains an epoch, or the rest of it, and writes its results; returns the last epoch done, which is an earlier
        one if the training was rolled back."""
        try:
            record = run_epoch(self.step, self.batches, number, self.guard, self.partway, self.bar, self.estimate)
        except BlownUp as blown:
            return self._go_back(number, blown)
        if self.journal is not None:
            record |= self.guard.told(number)
            record |= look(self.step, self.batches, record, self.monitor)
            record |= {} if self.guard.sound else {UNSOUND: True}
            self.journal.write(record)
            check_stopping(record, self.step.recipe, self.monitor)
        self._save(number)
        barrier(self.step.processes)
        return number

    def end_early(self, epoch: int) -> None:
        """Writes the checkpoint of ``epoch``, the last one, which may lack one, if the guard would return to it."""
        if self.guard.sound:
            self._write(epoch)
            barrier(self.step.processes)

    def _go_back(self, epoch: int, blown: BlownUp) -> int:
        """Rolls the training back after ``epoch`` blew up; returns the epoch that is now the last one done."""
        guard = self.guard
        rollback = guard.go_back(epoch, str(blown))
        if self.journal is not None:
            self.journal.go_back(rollback.to, f"guard: {rollback} ({len(guard.rollbacks)} of {guard.config.rollbacks})")
        self.partway.drop()
        self.bar.reset()
        self.bar.update(rollback.to * self.step.per_epoch)
        barrier(self.step.processes)
        return rollback.to

    def _save(self, epoch: int) -> None:
        """Writes the checkpoint of ``epoch`` if one is due and the guard would return to it.

        One is also due if the weights are the best so far: otherwise, a rollback to an earlier epoch would drop the
        record of the kept weights, and nothing would be left of the previous best.
        """
        recipe = self.step.recipe
        if not self.guard.sound and epoch < recipe.epochs:
            return
        best = self.journal is not None and keep_best(self.step, self.journal.records, self.monitor)
        if recipe.keep_best:
            best = self._agreed(best)
        if best or epoch % recipe.checkpoint_every == 0 or epoch == recipe.epochs:
            self._write(epoch)

    def _write(self, epoch: int) -> None:
        """Writes the checkpoint of ``epoch`` in the first process; all processes note that it exists."""
        if self.journal is not None:
            save_state(self.guard.run / STATE, self.guard.state(epoch))
        self.guard.saved(epoch)
        self.partway.drop()
