"""The optimizer of a task: parameter groups with rates of their own, weight decay by choice, parts that stay fixed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal, get_args

import torch
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from torch import nn

from reid.config import STRICT
from reid.models.heads import PartHead, PlainHead
from reid.numbers import NonNegative, Positive, Whole

Group = Literal["backbone", "head", "classifier"]
GROUPS: tuple[Group, ...] = get_args(Group)

FUSED = ("cpu", "cuda")
"""Kinds of device that torch has fused optimizers for."""


@dataclass(frozen=True, config=STRICT)
class GroupRates:
    """Factor on the rate for each part of a task; 0 keeps the part fixed."""

    backbone: NonNegative = 1.0
    head: NonNegative = 1.0
    classifier: NonNegative = 1.0


@dataclass(frozen=True, config=STRICT)
class GroupEpochs:
    """Number of first epochs in which each part of a task is kept fixed (staged fine-tuning)."""

    backbone: Whole = 0
    head: Whole = 0
    classifier: Whole = 0


@dataclass(frozen=True, config=STRICT)
class OptimizerConfig:
    """How gradients become steps.

    Attributes:
        name: ``sgd``; ``adam`` and ``amsgrad`` (Reddi et al. 2018) with weight decay as an L2 term of the gradient;
            ``adamw`` with decoupled weight decay (Loshchilov and Hutter 2019).
        lr: the rate after the warm-up, for a part whose factor in ``rates`` is 1.
        momentum, nesterov: for ``sgd`` alone.
        decay_norm_and_bias: whether weight decay also applies to vectors and scalars, that is, biases and BN's scales
            and shifts.
        rates: the factor of each part.
        freeze_epochs: number of first epochs in which each part is fixed.
    """

    name: Literal["sgd", "adam", "amsgrad", "adamw"] = "sgd"
    lr: Positive = 0.05
    weight_decay: NonNegative = 5e-4
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = True
    decay_norm_and_bias: bool = True
    rates: GroupRates = GroupRates()
    freeze_epochs: GroupEpochs = GroupEpochs()

    @model_validator(mode="after")
    def _something_is_trained(self):
        if len(frozen_groups(self, 1)) == len(GROUPS):
            raise ValueError("every part is fixed in the first epoch; leave one with a rate > 0 and freeze_epochs 0")
        return self


def group_of(name: str) -> Group:
    """The part that a parameter or module of a task belongs to, by its name in the task (``named_parameters()``).

    ``network.head.*`` and ``supernet.head.*`` are the head, the rest of the network the backbone. Whatever else a task
    holds (classifiers, learned proxies of a loss) is per identity and goes with the classifier.
    """
    owner, _, rest = name.partition(".")
    if owner in ("network", "supernet"):
        return "head" if rest.partition(".")[0] == "head" else "backbone"
    return "classifier"


def build_optimizer(task: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer of every trainable parameter of ``task``.

    Each parameter group has, besides torch's keys, ``group`` (a part: ``backbone``, ``head``, ``classifier``) and
    ``rate`` (its factor). Call ``set_rate`` before each step and ``freeze`` at the start of each epoch.

    Torch's fused kernels step a whole group in one pass over its memory. They assume that gradients have the memory
    layout of their parameters, which autograd ensures; set the memory format of ``task`` before.
    """
    members: dict[tuple[Group, bool], list[nn.Parameter]] = {}
    for name, parameter in task.named_parameters():
        if parameter.requires_grad:
            decayed = config.decay_norm_and_bias or (parameter.ndim > 1 and not name.endswith(".bias"))
            members.setdefault((group_of(name), decayed), []).append(parameter)
    groups = []
    for (group, decayed), parameters in members.items():
        rate = getattr(config.rates, group)
        weight_decay = config.weight_decay if decayed else 0.0
        groups.append(
            {"params": parameters, "group": group, "rate": rate, "lr": config.lr * rate, "weight_decay": weight_decay}
        )
    fused = all(parameter.device.type in FUSED for group in groups for parameter in group["params"])
    if config.name == "sgd":
        nesterov = config.nesterov and config.momentum > 0
        optimizer = torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov, fused=fused)
        return _with_velocities(optimizer) if config.momentum else optimizer
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, fused=fused)
    return torch.optim.Adam(groups, lr=config.lr, amsgrad=config.name == "amsgrad", fused=fused)


def _with_velocities(optimizer: torch.optim.SGD) -> torch.optim.SGD:
    """``optimizer`` with zero velocities. Torch creates a parameter's velocity at its first step, and its fused kernel
    requires that all of a group take it together; in a supernet some get their first gradient later."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the rate of every parameter group to ``rate`` times the group's own factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate"]


def frozen_groups(config: OptimizerConfig, epoch: int) -> frozenset[Group]:
    """The parts that are fixed in ``epoch`` (counted from 1): those with rate 0, and those still frozen then."""
    return frozenset(
        group for group in GROUPS if getattr(config.rates, group) == 0 or epoch <= getattr(config.freeze_epochs, group)
    )


def freeze(task: nn.Module, optimizer: torch.optim.Optimizer, groups: Collection[Group]) -> None:
    """Fixes the parts ``groups`` of ``task`` and lets the others learn; call it after each ``task.train()``.

    Fixed parameters need no gradient, so the optimizer skips them and a fixed backbone costs no backward pass. The
    modules of a fixed part run in eval mode: otherwise BN's running statistics would keep moving, and dropout would
    disturb features that nothing learns from. A head itself, unlike its layers, stays in training mode: its mode
    decides whether it outputs everything that classifiers learn from or only what inference needs.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.requires_grad_(group["group"] not in groups)
    for name, module in task.named_modules():
        inside = [parameter for parameter, _ in module.named_parameters(prefix=name)] or [name]
        if all(group_of(member) in groups for member in inside) and not isinstance(module, PlainHead | PartHead):
            module.training = False
