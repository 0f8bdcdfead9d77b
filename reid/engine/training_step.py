"""One optimizer step, and the state that it changes."""

from __future__ import annotations

import functools

import torch
from torch import nn

from reid.engine.cuda_graph import RecordedBackward, can_record
from reid.engine.machine.compilation import Compiled, plain
from reid.engine.machine.device import autocast
from reid.engine.machine.distributed import SINGLE, Processes, sum_gradients
from reid.engine.recipe import Recipe
from reid.engine.recipe.averaging import WeightAverage
from reid.engine.recipe.optimizers import build_optimizer, set_rate
from reid.engine.recipe.schedule import rate_factor
from reid.engine.seeds import seeded_step, step_seed
from reid.engine.tasks.task import StepContext

_LOSSES, _LAYERS = 2**20, 2**21
"""Used like ranks in the seeds of a step, so that losses and layers do not draw the same numbers as the augmentation of
that step."""


class TrainingStep:
    """One optimizer step, and the state that it changes.

    Args:
        task: see ``reid.engine.tasks.task.Task``; on ``device``.
        recipe: how it is trained.
        device: where it is trained.
        per_epoch: steps per epoch, for the schedule.
        seed: of the random draws within the step, except for the images.
        processes: those that train together.

    Attributes:
        rate_scale: factor on the recipe's rate; below 1 after a training has blown up.
    """

    def __init__(
        self,
        task: nn.Module,
        recipe: Recipe,
        device: torch.device,
        per_epoch: int,
        seed: int = 0,
        processes: Processes = SINGLE,
    ) -> None:
        self.task, self.recipe, self.device, self.per_epoch = task, recipe, device, per_epoch
        self.seed, self.processes, self.rate_scale = seed, processes, 1.0
        self.optimizer = build_optimizer(task, recipe.optimizer)
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")
        self.average = WeightAverage(task, recipe.averaging) if recipe.averaging.kind != "none" else None
        self.autocast = functools.partial(autocast, device, recipe.precision)
        self._run = Compiled() if recipe.compile else plain
        self._trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        recorded = can_record(task, recipe, device, processes)
        self._recorded = RecordedBackward(task, self._trained) if recorded else None

    def __call__(
        self, images: torch.Tensor, labels: torch.Tensor, number: int
    ) -> tuple[dict[str, torch.Tensor], float]:
        """Runs step ``number`` of the training (from 0); returns the log's scalars on the device, and the rate."""
        recipe = self.recipe
        epoch, within = divmod(number, self.per_epoch)
        factor = rate_factor(recipe.schedule, number / self.per_epoch, recipe.epochs, self.per_epoch)
        rate = self.rate_scale * recipe.optimizer.lr * factor
        set_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        context = StepContext(
            number=number,
            epoch=number / self.per_epoch,
            # The same in all processes, since the losses cover the whole batch.
            generator=torch.Generator().manual_seed(step_seed(self.seed, epoch + 1, within, _LOSSES)),
            autocast=self.autocast,
            backward=lambda loss: self.scaler.scale(loss).backward(),
            run=self._run,
            processes=self.processes,
        )
        with seeded_step(step_seed(self.seed, epoch + 1, within, _LAYERS + self.processes.rank), self.device):
            log = (self._recorded or self.task.backward)(images, labels, context)
        sum_gradients(self.processes, self._trained)
        self.scaler.unscale_(self.optimizer)
        log["gradient_norm"] = self._clip()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.after_step(self.task)
            if number % self.per_epoch == self.per_epoch - 1:
                self.average.after_epoch(self.task, epoch + 1, recipe.epochs)
        return log, rate

    def _clip(self) -> torch.Tensor:
        """Clips the gradient if the recipe says so; returns its norm before clipping."""
        gradients = [parameter.grad for parameter in self._trained if parameter.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if self.recipe.clip_gradient is not None:
            nn.utils.clip_grads_with_norm_(self._trained, self.recipe.clip_gradient, norm)
        return norm

    @property
    def result(self) -> nn.Module:
        """The task with the weights to keep: the averaged ones if the recipe averages and averaging has started."""
        return self.average.module if self.average is not None and self.average.started else self.task

    def state(self) -> dict:
        """The state for ``load_state`` to continue from: weights, optimizer, scaler, and any average."""
        return {
            "task": self.task.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        } | ({} if self.average is None else {"average": self.average.state()})

    def load_state(self, state: dict) -> None:
        """Restores what ``state`` returned; raises RuntimeError if it is of another network."""
        self.task.load_state_dict(state["task"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state(state["average"])
