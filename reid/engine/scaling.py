"""A recipe at another length."""

from __future__ import annotations

from dataclasses import replace

from reid.engine.recipe import Recipe

LEAST_WARMUP = 0.1
"""Share of a shortened training that is left to the warm-up, where the whole one had as many epochs."""


def at_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """``recipe`` with ``epochs`` epochs, and whatever it counts in epochs stretched or shrunk by as much.

    That are the warm-up (in epochs or iterations), the milestones and steps of the schedule, the growth of a margin and
    the epochs in which a part is fixed. A warm-up in epochs keeps a tenth of the training where it had as much: it is
    there for the first steps' sake, however long the rest. So a long recipe can be tried, or two compared, on a small
    budget; the result of the long one it does not tell.
    """
    share = epochs / recipe.epochs
    schedule, classification = recipe.schedule, recipe.losses.classification
    schedule = replace(
        schedule,
        warmup=max(schedule.warmup * share, min(schedule.warmup, LEAST_WARMUP * epochs)),
        warmup_steps=round(schedule.warmup_steps * share),
        milestones=tuple(max(1, round(milestone * share)) for milestone in schedule.milestones),
        step_size=max(1, round(schedule.step_size * share)),
    )
    losses = replace(
        recipe.losses, classification=replace(classification, margin_warmup=classification.margin_warmup * share)
    )
    fixed = recipe.optimizer.freeze_epochs
    fixed = replace(fixed, **{name: round(getattr(fixed, name) * share) for name in fixed.__dataclass_fields__})
    return replace(
        recipe,
        epochs=epochs,
        schedule=schedule,
        losses=losses,
        optimizer=replace(recipe.optimizer, freeze_epochs=fixed),
    )
