"""The learning rate as a pure function of time."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.numbers import Count, NonNegative, Positive, Whole


@dataclass(frozen=True, config=STRICT)
class ScheduleConfig:
    """The rate over time, in epochs.

    Attributes:
        name: ``multistep`` multiplies by ``gamma`` at each milestone, ``step`` after every ``step_size`` epochs;
            ``cosine`` falls to ``final`` times the rate at the end (Loshchilov and Hutter 2017, without restarts).
        warmup: epochs (may be a fraction) of linear rise from ``warmup_start`` times the rate.
        warmup_steps: the same in iterations; only one of the two may be given.
        milestones: epochs after which ``multistep`` falls.
        flat: share of the epochs at the full rate before the cosine falls (fast-reid's delayed cosine).
        planned: number of epochs that the curve is made for; ``None`` for the training's. A shorter training cuts it.
        cool_down: number of last epochs in which the rate falls linearly to ``final`` times the rate, from wherever
            the curve was (Hägele et al. 2024). With ``constant``, this is warm-up, stable, decay.
    """

    name: Literal["constant", "multistep", "step", "cosine"] = "cosine"
    warmup: NonNegative = 0.0
    warmup_steps: Whole = 0
    warmup_start: Annotated[float, Field(gt=0, le=1)] = 0.01
    milestones: tuple[Count, ...] = ()
    step_size: Count = 20
    gamma: Positive = 0.1
    final: NonNegative = 0.0
    flat: Annotated[float, Field(ge=0, lt=1)] = 0.0
    planned: Count | None = None
    cool_down: NonNegative = 0.0

    @model_validator(mode="after")
    def _fits_together(self):
        if self.warmup and self.warmup_steps:
            raise ValueError("warmup (epochs) and warmup_steps (iterations) are both given; set one of them to 0")
        if self.name == "multistep" and not self.milestones:
            raise ValueError(
                "multistep lowers the rate at milestones, but none are given; set milestones: [epoch, ...]"
            )
        return self


def rate_factor(schedule: ScheduleConfig, epoch: float, epochs: int, per_epoch: int) -> float:
    """The factor on the base rate at a point in the training.

    The warm-up multiplies the schedule's own value, so that every schedule keeps its shape whatever the warm-up.

    Args:
        epoch: epochs done, as a fraction: steps done divided by ``per_epoch``.
        epochs: of the whole training.
        per_epoch: steps per epoch.
    """
    falls = max(epochs - schedule.cool_down, 0.0)
    if schedule.cool_down and epoch > falls:
        left = max(epochs - epoch, 0.0) / (epochs - falls)
        return schedule.final + (_curve(schedule, falls, epochs, per_epoch) - schedule.final) * left
    return _curve(schedule, epoch, epochs, per_epoch)


def _curve(schedule: ScheduleConfig, epoch: float, epochs: int, per_epoch: int) -> float:
    warmup = schedule.warmup_steps / per_epoch if schedule.warmup_steps else schedule.warmup
    factor = _without_warmup(schedule, epoch, schedule.planned or epochs)
    if epoch < warmup:
        factor *= schedule.warmup_start + (1.0 - schedule.warmup_start) * epoch / warmup
    return factor


def _without_warmup(schedule: ScheduleConfig, epoch: float, epochs: int) -> float:
    if schedule.name == "multistep":
        return schedule.gamma ** sum(epoch >= milestone for milestone in schedule.milestones)
    if schedule.name == "step":
        return schedule.gamma ** (epoch // schedule.step_size)
    if schedule.name == "cosine":
        start = schedule.flat * epochs
        done = min(max(epoch - start, 0.0) / (epochs - start), 1.0)
        return schedule.final + (1.0 - schedule.final) * 0.5 * (1.0 + math.cos(math.pi * done))
    return 1.0
