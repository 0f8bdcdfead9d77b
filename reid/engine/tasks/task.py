"""The interface between the training loop and the tasks that it trains."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from reid.engine.machine.compilation import plain
from reid.engine.machine.distributed import SINGLE, Processes
from reid.engine.recipe.optimizers import Group


@dataclass(frozen=True)
class StepContext:
    """What a task may use of the training loop in one step.

    Attributes:
        number: of the step in the whole training, from 0.
        epoch: the same in epochs, with the fraction: 1.5 is the middle of the second epoch.
        generator: a CPU generator that is a function of seed, epoch and step only; for random draws of the losses.
        autocast: returns the context for the network's forward pass.
        backward: adds the gradient of a loss to ``.grad`` (with the scale that fp16 needs).
        run: returns ``module(images)`` for a backbone, compiled if the recipe says so.
        processes: the processes that train together, each with its share of the batch.
    """

    number: int
    epoch: float
    generator: torch.Generator
    autocast: Callable[[], AbstractContextManager]
    backward: Callable[[torch.Tensor], None]
    run: Callable[[nn.Module, torch.Tensor], torch.Tensor] = plain
    processes: Processes = SINGLE


class Task(Protocol):
    """What is trained: an ``nn.Module`` with all parameters, and how one batch gives it a gradient.

    Attributes:
        same_every_step: whether ``backward`` queues the same kernels with the same arguments in every step: nothing in
            it is drawn on the host or depends on the step's number. Such steps can be recorded; a task without this
            attribute is not recorded.
        restless_epochs: epochs (from 1) in which the logged loss may rise although all is well, because its definition
            changes. A task without this attribute has none.
    """

    same_every_step: bool
    restless_epochs: Container[int]

    def backward(self, images: torch.Tensor, labels: torch.Tensor, context: StepContext) -> dict[str, torch.Tensor]:
        """Adds the gradient of one batch through ``context.backward``; returns scalars for the log, on the device.

        With several processes, all compute the same loss of the whole batch; each process adds the gradient that flows
        through its own share, and the loop sums them.
        """
        ...

    def recalibrate(self, images: Iterable[torch.Tensor], fixed: Collection[Group] = ()) -> None:
        """Recomputes the BN statistics on prepared images, after weights were averaged. ``fixed`` parts, whose weights
        have not changed, keep theirs."""
        ...
