"""One epoch of a training, and an estimate of the time for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from tqdm import tqdm

from reid.engine.batches import TrainingBatches
from reid.engine.guard.guard import Guard
from reid.engine.machine.distributed import gather_batch
from reid.engine.machine.process_memory import peak_memory_mib
from reid.engine.partway import Partway
from reid.engine.recipe.divergence import Look
from reid.engine.recipe.optimizers import freeze, frozen_groups
from reid.engine.tally import Tally
from reid.engine.training_step import TrainingStep

READ_EVERY = 20
"""Steps between looks at the loss, each of which waits for the device."""

_LOOKED_AT = ("loss", "gradient_norm", "accuracy", "embedding_spread")
"""The fields of a ``Look``, in its order; the last two only if the task logs them."""


class Estimate:
    """Reports once how long the training will take, measured on full steps after the first few, which warm up caches.
    Steps with parts still frozen are cheaper and do not count.

    On a GPU, it measures between looks at the loss, which wait for the GPU; other steps are only queued.
    """

    def __init__(self, tell: Callable[[float], None], device: torch.device) -> None:
        self.tell, self.steps, self.seen, self.start = tell, 0, 0, 0.0
        self.skip, self.count = (3, 10) if device.type == "cpu" else (READ_EVERY, READ_EVERY)

    def step(self, left: int) -> None:
        """To be called after a full step and any look that follows it; ``left`` counts this step and those to come."""
        self.seen += 1
        self.steps = max(self.steps, left)
        if self.seen == self.skip:
            self.start = time.perf_counter()
        elif self.seen == self.skip + self.count:
            self.tell((time.perf_counter() - self.start) / self.count * self.steps)


def run_epoch(
    step: TrainingStep,
    batches: TrainingBatches,
    epoch: int,
    guard: Guard,
    partway: Partway,
    bar: tqdm,
    estimate: Estimate,
) -> dict[str, float]:
    """Runs one epoch, or the rest of it; returns its record: means of the log's scalars, learning rate, images/s of all
    processes, peak memory.

    Raises:
        BlownUp: the guard finds that the training has blown up.
    """
    step.task.train()
    frozen = frozen_groups(step.recipe.optimizer, epoch)
    freeze(step.task, step.optimizer, frozen)
    full = frozen == frozen_groups(step.recipe.optimizer, step.recipe.epochs)
    tally, looks, rate = Tally(), _Looks(guard, epoch, batches.per_epoch), 0.0
    if (begun := partway.begun()) is not None:
        tally.load_state(begun, step.device)
        looks.load_state(begun["looks"])
    for images, labels in batches.epoch(epoch, tally.steps):
        log, rate = step(images, labels, (epoch - 1) * batches.per_epoch + tally.steps)
        tally.add(log, len(labels) * step.processes.world_size)
        ended = tally.steps == batches.per_epoch
        if tally.steps % READ_EVERY == 0 or ended:
            mean = looks.look(tally)
            bar.set_postfix(epoch=epoch, loss=f"{mean:.3f}", lr=f"{rate:.1e}", refresh=False)
        if full:
            estimate.step((step.recipe.epochs - epoch + 1) * batches.per_epoch - tally.steps + 1)
        bar.update()
        if partway.is_due and not ended:
            partway.keep(epoch, tally.state() | {"looks": looks.state()})
    guard.check_weights()
    return tally.means() | {"epoch": epoch, "lr": rate, "peak_memory_mib": peak_memory_mib(step.device)}


class _Looks:
    """The looks of an epoch; each shows the guard the steps since the previous one."""

    def __init__(self, guard: Guard, epoch: int, per_epoch: int) -> None:
        self.guard, self.epoch, self.least = guard, epoch, min(READ_EVERY, per_epoch) / 2
        self._before, self._steps = [0.0] * len(_LOOKED_AT), 0

    def look(self, tally: Tally) -> float:
        """Shows the guard the sums so far; returns the mean of the losses.

        Raises:
            BlownUp: the guard finds that the training has blown up.
        """
        known = [tally.sums.get(name, tally.first.new_zeros(())) for name in _LOOKED_AT]
        values = torch.stack([each.float() for each in (*known, tally.first)])
        # All processes judge the first one's numbers, so that all decide alike.
        *now, first = gather_batch(self.guard.step.processes, values[None])[0].tolist()
        steps = tally.steps - self._steps
        means = [(total - before) / steps for total, before in zip(now, self._before, strict=True)]
        self._before, self._steps = now, tally.steps
        look = Look(*(mean if name in tally.sums else None for name, mean in zip(_LOOKED_AT, means, strict=True)))
        self.guard.look(look, first, self.epoch, short=steps < self.least)
        return now[0] / tally.steps

    def state(self) -> dict[str, Any]:
        """The state to continue from."""
        return {"before": self._before, "steps": self._steps}

    def load_state(self, state: dict[str, Any]) -> None:
        self._before, self._steps = state["before"], state["steps"]
