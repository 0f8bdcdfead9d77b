"""The learning rate as a pure function of time."""

from __future__ import annotations

import math

from reid.engine.recipe import ScheduleConfig


def rate_factor(schedule: ScheduleConfig, epoch: float, epochs: int) -> float:
    """What the base rate is multiplied by at ``epoch`` (a fraction counts the steps within it) of ``epochs``.

    The warm-up multiplies the schedule's own value, so that multi-step and cosine keep their shape whatever the
    warm-up.
    """
    if schedule.name == "multistep":
        factor = schedule.gamma ** sum(epoch >= milestone for milestone in schedule.milestones)
    elif schedule.name == "cosine":
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(epoch / epochs, 1.0)))
        factor = schedule.final + (1.0 - schedule.final) * cosine
    else:
        factor = 1.0
    if epoch < schedule.warmup:
        factor *= schedule.warmup_start + (1.0 - schedule.warmup_start) * epoch / schedule.warmup
    return factor
