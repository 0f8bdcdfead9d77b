"""Adapts a recipe to another length or batch size."""

from __future__ import annotations

from dataclasses import replace

from reid.engine.recipe.recipe import Recipe
from reid.errors import UserError
from reid.numbers import MOST_EPOCHS

LEAST_WARMUP = 0.1
"""Share of a shortened training that is kept for the warm-up, if the original warm-up has that many epochs."""


def at_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """``recipe`` with ``epochs`` epochs, and everything that is counted in epochs scaled in proportion.

    This applies to the warm-up (in epochs or iterations), the milestones, steps and cool-down of the schedule, the
    growth of a margin and the epochs in which a part is frozen. A warm-up in epochs keeps a tenth of the training if it
    was that long, since the first steps need it however long the rest is. So a long recipe can be tried, or two
    compared, on a small budget; this does not predict the result of the long one.

    Raises:
        UserError: a training cannot have this number of epochs.
    """
    if not 1 <= epochs <= MOST_EPOCHS:
        raise UserError(f"epochs {epochs}: give a whole number from 1 to {MOST_EPOCHS}")
    share = epochs / recipe.epochs
    schedule, classification = recipe.schedule, recipe.losses.classification
    schedule = replace(
        schedule,
        warmup=max(schedule.warmup * share, min(schedule.warmup, LEAST_WARMUP * epochs)),
        warmup_steps=round(schedule.warmup_steps * share),
        milestones=tuple(max(1, round(milestone * share)) for milestone in schedule.milestones),
        step_size=max(1, round(schedule.step_size * share)),
        planned=schedule.planned and max(1, round(schedule.planned * share)),
        cool_down=schedule.cool_down * share,
    )
    losses = replace(
        recipe.losses, classification=replace(classification, margin_warmup=classification.margin_warmup * share)
    )
    fixed = recipe.optimizer.freeze_epochs
    fixed = replace(fixed, **{name: _fixed(getattr(fixed, name), share, epochs) for name in fixed.__dataclass_fields__})
    return replace(
        recipe,
        epochs=epochs,
        schedule=schedule,
        losses=losses,
        optimizer=replace(recipe.optimizer, freeze_epochs=fixed),
    )


def _fixed(had: int, share: float, epochs: int) -> int:
    """Epochs in which a part is frozen: at least one if there were any, but never all."""
    return max(round(had * share), min(had, 1, epochs - 1))


def at_batch(recipe: Recipe, identities: int, instances: int) -> Recipe:
    """``recipe`` with batches of ``identities`` times ``instances`` images, and its rates scaled accordingly.

    With batches k times as large, an epoch has 1 / k of the steps. SGD's rate is multiplied by k (Goyal et al. 2017),
    the Adam family's by the square root of k (Malladi et al. 2022). Everything counted in steps shrinks: a warm-up in
    iterations, and the memory of an EMA, whose decay becomes its k-th power (Busbridge et al. 2023). The centers of a
    center loss have their own SGD, whose rate is multiplied by k whatever the optimizer.
    """
    share = identities * instances / (recipe.identities * recipe.instances)
    optimizer, averaging, center = recipe.optimizer, recipe.averaging, recipe.losses.center
    factor = share if optimizer.name == "sgd" else share**0.5
    return replace(
        recipe,
        identities=identities,
        instances=instances,
        optimizer=replace(optimizer, lr=optimizer.lr * factor),
        schedule=replace(recipe.schedule, warmup_steps=round(recipe.schedule.warmup_steps / share)),
        averaging=replace(averaging, decay=averaging.decay**share),
        losses=replace(recipe.losses, center=replace(center, rate=center.rate * share)),
    )
