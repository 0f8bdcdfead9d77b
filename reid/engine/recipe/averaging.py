"""Averages of the weights during training: EMA over steps, SWA over epochs."""

from __future__ import annotations

import copy
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from reid.config import STRICT


@dataclass(frozen=True, config=STRICT)
class AveragingConfig:
    """The average of the weights that is evaluated and kept instead of the last weights.

    Attributes:
        kind: ``ema`` is an exponential moving average over steps, ``swa`` the plain mean over the ends of the last
            epochs (Izmailov et al. 2018).
        decay: for ``ema``, per step.
        start: for ``swa``: share of the epochs before the first one that is averaged.
    """

    kind: Literal["none", "ema", "swa"] = "none"
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    start: Annotated[float, Field(ge=0, lt=1)] = 0.75

    def first_epoch(self, epochs: int) -> int:
        """The first epoch, counted from 1, whose end is included in an SWA over ``epochs``."""
        return int(self.start * epochs * (1 + 1e-12)) + 1  # 0.58 * 50 is below 29 in floating point


def ema_decay(decay: float, updates: int) -> float:
    """The share of the old average that is kept after ``updates`` updates: ``min(decay, (1 + n) / (10 + n))``.

    The average is short at first, so that the initial weights do not hold it back (TensorFlow's ``num_updates``).
    """
    return min(decay, (1 + updates) / (10 + updates))


@plain_dataclass(frozen=True, eq=False)
class _Pairs:
    """Tensors of an average and, in the same order, those of ``network`` that they move towards or are copied from."""

    network: nn.Module
    averaged: list[torch.Tensor]
    averaged_from: list[torch.Tensor]
    copied: list[torch.Tensor]
    copied_from: list[torch.Tensor]


class WeightAverage:
    """A copy of a network that holds an average of its weights.

    To be made before BN is synchronised over processes (``sync_batch_norm``): the copy then has plain BN, and a single
    process can run it. It costs one more set of weights and, for ``ema``, one pass over them per step.

    Args:
        network: the network to average, on its device; the average starts with its weights.
        config: which average; ``kind`` must not be ``none``.

    Attributes:
        module: the copy, in eval mode and without gradients, for evaluation.
    """

    def __init__(self, network: nn.Module, config: AveragingConfig) -> None:
        if config.kind == "none":
            raise ValueError("averaging.kind is none: there is nothing to average; set another kind")
        self.config = config
        self.module = copy.deepcopy(network).requires_grad_(False).eval()
        self._updates = 0
        self._pairs: _Pairs | None = None

    @property
    def started(self) -> bool:
        """Whether any weights have been averaged yet; before, ``module`` is the initial network."""
        return self._updates > 0

    @property
    def needs_calibration(self) -> bool:
        """Whether BN's running statistics must be recomputed (``bn_calibration.calibrate``) before ``module`` is
        evaluated: the mean of distant weights has different activations from any of them."""
        return self.config.kind == "swa"

    def after_step(self, network: nn.Module) -> None:
        """Updates an EMA; to be called after every optimizer step."""
        if self.config.kind == "ema":
            self._move(network, 1.0 - ema_decay(self.config.decay, self._updates))

    def after_epoch(self, network: nn.Module, epoch: int, epochs: int) -> None:
        """Adds the weights to an SWA that has started; to be called after every ``epoch`` (from 1) of ``epochs``."""
        if self.config.kind == "swa" and epoch >= self.config.first_epoch(epochs):
            self._move(network, 1.0 / (self._updates + 1))

    @torch.no_grad()
    def _move(self, network: nn.Module, share: float) -> None:
        """``average += share * (network - average)``; for an EMA also BN's statistics, which belong to the average.

        Counters, and the statistics of an SWA (recomputed before use), are copied.
        """
        if self._pairs is None or self._pairs.network is not network:
            self._pairs = self._pair(network)
        pairs = self._pairs
        get_ema_multi_avg_fn(1.0 - share)(pairs.averaged, pairs.averaged_from, None)
        if pairs.copied:  # all counters at once, rather than one call per BN layer
            torch._foreach_copy_(pairs.copied, pairs.copied_from)
        self._updates += 1

    def _pair(self, network: nn.Module) -> _Pairs:
        """The tensors of both networks. Training changes them in place, so they are looked up once, which takes ms."""
        theirs, pairs = network.state_dict(), _Pairs(network, [], [], [], [])
        parameters = {name for name, _ in self.module.named_parameters()}
        for name, own in self.module.state_dict().items():
            averaged = name in parameters or (self.config.kind == "ema" and own.is_floating_point())
            (pairs.averaged if averaged else pairs.copied).append(own)
            (pairs.averaged_from if averaged else pairs.copied_from).append(theirs[name])
        return pairs

    def state(self) -> dict[str, Any]:
        """The state for ``load_state`` to continue from, bit for bit."""
        return {"updates": self._updates, "module": self.module.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restores what ``state`` returned; raises RuntimeError if it is of another network."""
        self.module.load_state_dict(state["module"])
        self._updates = state["updates"]
