"""``Recipe``: how a network is trained. One recipe runs on any network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.data.augment import AugmentConfig

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config=STRICT)
class OptimizerConfig:
    """``lr`` is the rate after the warm-up; ``momentum`` is for SGD only (Nesterov's form where ``nesterov``)."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: Positive = 0.05
    weight_decay: NonNegative = 5e-4
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = True


@dataclass(frozen=True, config=STRICT)
class ScheduleConfig:
    """Rate over time, in epochs.

    Attributes:
        name: ``multistep`` multiplies by ``gamma`` at each milestone; ``cosine`` falls to ``final`` times the rate at
            the end.
        warmup: epochs (may be a fraction) of linear rise from ``warmup_start`` times the rate.
    """

    name: Literal["constant", "multistep", "cosine"] = "cosine"
    warmup: NonNegative = 0.0
    warmup_start: Annotated[float, Field(gt=0, le=1)] = 0.01
    milestones: tuple[Count, ...] = ()
    gamma: Positive = 0.1
    final: NonNegative = 0.0


@dataclass(frozen=True, config=STRICT)
class LossConfig:
    """Weights of the losses; ``margin`` null is the triplet's soft margin."""

    cross_entropy: NonNegative = 1.0
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    triplet: NonNegative = 1.0
    margin: NonNegative | None = 0.3


@dataclass(frozen=True, config=STRICT)
class Recipe:
    """Everything about a training but the data and the network.

    Attributes:
        epochs: passes over the training images.
        identities, instances: P and K of the PK batch.
        precision: ``bf16`` and ``fp16`` run the network under autocast; the losses are always fp32.
        clip_gradient: greatest global L2 norm of the gradient, or null.
        evaluate_every: epochs between looks at the monitor set, where there is one; 0 for never.
    """

    epochs: Count = 60
    identities: Annotated[int, Field(ge=2)] = 16
    instances: Annotated[int, Field(ge=2)] = 4
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    augment: AugmentConfig = AugmentConfig()
    losses: LossConfig = LossConfig()
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = True
    clip_gradient: Positive | None = None
    evaluate_every: Annotated[int, Field(ge=0)] = 0
