"""The optimizer of a task: parameter groups with their own rates, optional weight decay, parts that are frozen."""

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
"""Device types with fused optimizers in torch."""


@dataclass(frozen=True, config=STRICT)
class GroupRates:
    """Factor on the rate for each part of a task; 0 keeps the part frozen."""

    backbone: NonNegative = 1.0
    head: NonNegative = 1.0
    classifier: NonNegative = 1.0


@dataclass(frozen=True, config=STRICT)
class GroupEpochs:
    """Number of initial epochs in which each part of a task is frozen (staged fine-tuning)."""

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
        momentum, nesterov: only for ``sgd``.
        decay_norm_and_bias: whether weight decay also applies to vectors and scalars, that is, biases and BN's scales
            and shifts.
        rates: the factor of each part.
        freeze_epochs: number of initial epochs in which each part is frozen.
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
            raise ValueError(
                "every part is fixed in the first epoch; give at least one a rate above 0 and freeze_epochs 0"
            )
        return self


def group_of(name: str) -> Group:
    """The part to which a parameter or module of a task belongs, by its name in the task (``named_parameters()``).

    ``network.head.*`` and ``supernet.head.*`` are the head, the rest of the network is the backbone. Anything else in a
    task (classifiers, learned proxies of a loss) is per identity and belongs to the classifier.
    """
    owner, _, rest = name.partition(".")
    if owner in ("network", "supernet"):
        return "head" if rest.partition(".")[0] == "head" else "backbone"
    return "classifier"


def build_optimizer(task: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer for all trainable parameters of ``task``.

    Each parameter group has, besides torch's keys, ``group`` (a part: ``backbone``, ``head``, ``classifier``) and
    ``rate`` (its factor). Call ``set_rate`` before each step and ``freeze`` at the start of each epoch.

    Torch's fused kernels update a whole group in one pass over its memory. They assume that gradients have the memory
    layout of their parameters, which autograd ensures; so set the memory format of ``task`` first.
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
    requires the whole group to do so together, but in a supernet some get their first gradient later."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the rate of every parameter group to ``rate`` times the group's own factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate"]


def frozen_groups(config: OptimizerConfig, epoch: int) -> frozenset[Group]:
    """The parts that are frozen in ``epoch`` (counted from 1): those with rate 0 and those within ``freeze_epochs``."""
    return frozenset(
        group for group in GROUPS if getattr(config.rates, group) == 0 or epoch <= getattr(config.freeze_epochs, group)
    )


def freeze(task: nn.Module, optimizer: torch.optim.Optimizer, groups: Collection[Group]) -> None:
    """Freezes the parts ``groups`` of ``task`` and unfreezes the others; to be called after each ``task.train()``.

    Frozen parameters need no gradient, so the optimizer skips them, and a frozen backbone costs no backward pass. The
    modules of a frozen part run in eval mode: otherwise BN's running statistics would keep changing, and dropout would
    disturb features that nothing learns from. A head itself, unlike its layers, stays in training mode, since its mode
    decides whether it outputs everything that classifiers learn from or only what inference needs.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.requires_grad_(group["group"] not in groups)
    for name, module in task.named_modules():
        inside = [parameter for parameter, _ in module.named_parameters(prefix=name)] or [name]
        if all(group_of(member) in groups for member in inside) and not isinstance(module, PlainHead | PartHead):
            module.training = False
