"""The training loop. Every network here, searched or not, and the supernet itself, is trained by it."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from reid.engine.batches import TrainingBatches
from reid.engine.checkpoint import load_state, save_state
from reid.engine.device import autocast
from reid.engine.optimizers import build_optimizer, set_rate
from reid.engine.recipe import Recipe
from reid.engine.run_folder import append_metrics, keep_metrics_until
from reid.engine.schedule import rate_factor
from reid.errors import UserError

STATE = "checkpoint.pt"
READ_EVERY = 20
"""Steps between looks at the loss: each look waits for the device."""


class Task(Protocol):
    """What is trained: an ``nn.Module`` of everything with parameters, and how one batch gives it a gradient."""

    def backward(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        step: int,
        autocast: Callable[[], AbstractContextManager],
        backward: Callable[[torch.Tensor], None],
    ) -> dict[str, torch.Tensor]: ...


@dataclass(frozen=True)
class Monitor:
    """A look at the network while it trains: ``evaluate()`` gives named fractions for the log.

    It must not touch test data.
    """

    evaluate: Callable[[], dict[str, float]]


def fit(
    task: nn.Module,
    batches: TrainingBatches,
    recipe: Recipe,
    run: Path,
    device: torch.device,
    *,
    monitor: Monitor | None = None,
    on_estimate: Callable[[float], None] = lambda seconds: None,
    title: str = "training",
) -> None:
    """Trains ``task`` by ``recipe``; goes on from the run's checkpoint where there is one.

    After every epoch the run folder holds a checkpoint (atomic), a line in ``metrics.jsonl`` and TensorBoard's events.
    A run that is interrupted anywhere and resumed ends with the weights of an unbroken one: everything random is a
    function of seed, epoch and step.

    Args:
        task: a module that follows ``Task``, with fresh weights; moved to ``device``.
        batches: its training data.
        run: the run folder (``open_run``).
        on_estimate: told the seconds the whole training will take, once, after the first steps.
        title: for the progress bar.

    Raises:
        UserError: the loss is no longer a finite number.
    """
    task.to(device=device, memory_format=torch.channels_last if recipe.channels_last else torch.contiguous_format)
    step = TrainingStep(task, recipe, device, batches.per_epoch)
    done = _restore(run, step)
    keep_metrics_until(run, done)
    if done >= recipe.epochs:
        return
    estimate = _Estimate(on_estimate, (recipe.epochs - done) * batches.per_epoch)
    steps, before = recipe.epochs * batches.per_epoch, done * batches.per_epoch
    with (
        SummaryWriter(str(run / "tensorboard"), purge_step=done + 1) as writer,
        tqdm(total=steps, initial=before, desc=title, unit="step", mininterval=1.0) as bar,
    ):
        for epoch in range(done + 1, recipe.epochs + 1):
            record = _run_epoch(step, batches, epoch, bar, estimate)
            if monitor and recipe.evaluate_every and (epoch % recipe.evaluate_every == 0 or epoch == recipe.epochs):
                record |= monitor.evaluate()
            append_metrics(run, record)
            for name, value in record.items():
                if name != "epoch":
                    writer.add_scalar(name, value, epoch)
            save_state(run / STATE, step.state() | {"epoch": epoch})


class TrainingStep:
    """One optimizer step, and the state that it changes.

    Args:
        task: see ``fit``; lies on ``device``.
        recipe: how it is trained.
        device: where it is trained.
        per_epoch: steps in an epoch, by which the schedule counts.
    """

    def __init__(self, task: nn.Module, recipe: Recipe, device: torch.device, per_epoch: int) -> None:
        self.task, self.recipe, self.device, self.per_epoch = task, recipe, device, per_epoch
        self.optimizer = build_optimizer(task, recipe.optimizer)
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")
        self.autocast = functools.partial(autocast, device, recipe.precision)

    def __call__(
        self, images: torch.Tensor, labels: torch.Tensor, number: int
    ) -> tuple[dict[str, torch.Tensor], float]:
        """Step ``number`` of the whole training (from 0); returns the log's scalars on the device, and the rate."""
        recipe = self.recipe
        factor = rate_factor(recipe.schedule, number / self.per_epoch, recipe.epochs)
        set_rate(self.optimizer, recipe.optimizer.lr * factor)
        self.optimizer.zero_grad(set_to_none=True)
        log = self.task.backward(images, labels, number, self.autocast, lambda loss: self.scaler.scale(loss).backward())
        if recipe.clip_gradient is not None:
            self.scaler.unscale_(self.optimizer)
            log["gradient_norm"] = nn.utils.clip_grad_norm_(self.task.parameters(), recipe.clip_gradient).detach()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return log, recipe.optimizer.lr * factor

    def state(self) -> dict:
        return {
            "task": self.task.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state(self, state: dict) -> None:
        """Puts back what ``state`` gave; raises RuntimeError where it is of another network."""
        self.task.load_state_dict(state["task"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])


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
    """One epoch; returns its record: means of the log's scalars, rate, images/s, peak memory on CUDA."""
    step.task.train()
    sums: dict[str, torch.Tensor] = {}
    start, count, rate, images_seen = time.perf_counter(), 0, 0.0, 0
    for count, (images, labels) in enumerate(batches.epoch(epoch), start=1):
        log, rate = step(images, labels, (epoch - 1) * batches.per_epoch + count - 1)
        sums = {name: sums[name] + value if sums else value for name, value in log.items()}
        images_seen += len(labels)
        estimate.step()
        if count % READ_EVERY == 0 or count == batches.per_epoch:
            mean = float(sums["loss"]) / count
            if not math.isfinite(mean):
                raise UserError(f"the loss is not finite in epoch {epoch}; lower optimizer.lr or set clip_gradient")
            bar.set_postfix(epoch=epoch, loss=f"{mean:.3f}", lr=f"{rate:.1e}", refresh=False)
        bar.update()
    record = {name: float(total) / count for name, total in sums.items()}
    record |= {"epoch": epoch, "lr": rate, "images_per_second": images_seen / (time.perf_counter() - start)}
    if step.device.type == "cuda":
        record["peak_memory_mib"] = torch.cuda.max_memory_allocated(step.device) / 2**20
    return record


def _restore(run: Path, step: TrainingStep) -> int:
    """Puts the run's checkpoint back, if there is one; returns the epochs already done."""
    if not (run / STATE).exists():
        return 0
    state = load_state(run / STATE, step.device)
    try:
        step.load_state(state)
    except RuntimeError as error:  # the configuration is the same (open_run), the data need not be
        what = str(error).splitlines()[-1].strip()
        raise UserError(f"{run / STATE} is of another network or other data ({what}); use another --out") from None
    return state["epoch"]
