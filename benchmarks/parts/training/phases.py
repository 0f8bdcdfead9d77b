"""Time of a training step by phase; for ``training.py``."""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator

import torch

from reid.engine.tasks.task import StepContext
from reid.engine.training_step import TrainingStep

PHASES = ("batch", "forward", "losses", "backward", "optimizer", "average")
WARMUP = 2


def phases(step: TrainingStep, batches: Iterator, rounds: int, device: torch.device) -> dict[str, float]:
    """Median seconds of each phase of ``step``, which averages weights.

    The step runs as it is: what it calls is wrapped, and what is left of the whole between two calls is the phase that
    lies there. ``forward`` is the network with its classifiers, ``losses`` also what is logged, ``optimizer`` also the
    gradient's norm.
    """
    clock = _Clock(device)
    seconds: dict[str, list[float]] = {phase: [] for phase in PHASES}
    task, average = step.task, step.average
    with _replaced(task, "backward", clock.task(task.backward)):
        with _replaced(average, "after_step", clock.within("average", average.after_step)):
            for number in range(WARMUP + rounds):
                clock.begin()
                images, labels = next(batches)
                clock.lap("batch")
                step(images, labels, number)
                clock.lap("optimizer")
                for phase in PHASES:
                    seconds[phase].append(clock.laps[phase])
    return {phase: statistics.median(values[WARMUP:]) for phase, values in seconds.items()}


class _Clock:
    """Adds the time since the last lap to a phase."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.last, self.laps = device, 0.0, dict.fromkeys(PHASES, 0.0)

    def begin(self) -> None:
        self.laps, self.last = dict.fromkeys(PHASES, 0.0), self._now()

    def lap(self, phase: str) -> None:
        now = self._now()
        self.laps[phase] += now - self.last
        self.last = now

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def within(self, phase: str, run: Callable, before: str = "optimizer") -> Callable:
        """``run``, whose time is of ``phase``; the time until then is of the phase ``before``."""

        def timed(*arguments):
            self.lap(before)
            result = run(*arguments)
            self.lap(phase)
            return result

        return timed

    def task(self, run: Callable) -> Callable:
        """A task's ``backward`` by its phases."""

        @contextlib.contextmanager
        def autocast(context: StepContext):
            self.lap("optimizer")  # the step's own beginning
            with context.autocast():
                yield
            self.lap("forward")

        def timed(images, labels, context: StepContext):
            backward = self.within("backward", context.backward, before="losses")
            inner = dataclasses.replace(context, autocast=lambda: autocast(context), backward=backward)
            log = run(images, labels, inner)
            self.lap("losses")
            return log

        return timed


@contextlib.contextmanager
def _replaced(owner: object, name: str, function: Callable):
    """``owner.name`` is ``function`` for the length of the block."""
    setattr(owner, name, function)
    try:
        yield
    finally:
        delattr(owner, name)
