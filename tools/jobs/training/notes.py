"""Notes on a recipe, shown before a long training: settings that have no effect or will not work."""

from __future__ import annotations

from reid.engine.recipe import Recipe
from reid.engine.recipe.optimizers import GROUPS, frozen_groups
from reid.losses.angular import least_loss
from reid.losses.config import ClassificationConfig
from reid.models.residuals import ZeroInit
from reid.words import counted

BLUNT = 0.1
"""Classification loss that remains with perfect features, above which the user is warned."""


def bluntness(config: ClassificationConfig, classes: int) -> str | None:
    """A note if scale and margin leave a classification loss that training cannot reduce."""
    left = least_loss(config, classes)
    if left < BLUNT:
        return None
    usual = {"am_softmax": "30 with margin 0.35", "circle": "64 with margin 0.35, or 128 with 0.25"}[config.kind]
    return (
        f"losses.classification: {config.kind} at scale {config.scale:g} and margin {config.margin:g} leaves a loss of "
        f"{left:.2f} over {classes} classes, however good the features are; common: scale {usual}"
    )


def never_trained(recipe: Recipe) -> str | None:
    """A note on parts that stay frozen to the end. This may be intended, as with torchreid's ``fixbase_epoch``, or the
    number of epochs was reduced without ``freeze_epochs``."""
    fixed = frozen_groups(recipe.optimizer, recipe.epochs)
    parts = [part for part in GROUPS if part in fixed and getattr(recipe.optimizer.rates, part)]
    if not parts:
        return None
    return (
        f"optimizer.freeze_epochs: {' and '.join(parts)} fixed to the end (epochs: {recipe.epochs}), so never trained; "
        "give fewer epochs there, or set optimizer.rates to 0 if that is intended"
    )


RARE = 0.5
"""Share of images with another image of their person in the batch, below which the user is warned."""


def without_pairs(recipe: Recipe, classes: int) -> str | None:
    """A note on metric losses, which learn from pairs of one person, if batches contain such pairs only by chance. All
    ``classes`` are assumed to have the same number of images."""
    losses = recipe.losses
    weights = {"triplet": losses.triplet.weight, "circle": losses.circle.weight, "centroid": losses.centroid.weight}
    named = [f"losses.{name}" for name, weight in weights.items() if weight]
    images = recipe.identities * recipe.instances
    paired = 1 - (1 - 1 / classes) ** (images - 1)
    if recipe.sampler != "random" or not named or paired >= RARE:
        return None
    return (
        f"sampler random: in a batch of {images}, about {100 * paired:.0f} % of the images have another one of their "
        f"person; the rest teach {' and '.join(named)} nothing; use pk, or set the weight to 0"
    )


def never_reached(recipe: Recipe, per_epoch: int) -> str | None:
    """A note on a schedule that extends beyond the training, for example because only ``epochs`` was changed. None if
    it is meant to end early, by its own ``planned`` or ``cool_down``."""
    schedule, epochs = recipe.schedule, recipe.epochs
    if schedule.planned or schedule.cool_down:
        return None
    warmup = schedule.warmup or schedule.warmup_steps / per_epoch
    falls = {"multistep": schedule.milestones, "step": (schedule.step_size,)}.get(schedule.name, ())
    late = [str(epoch) for epoch in falls if epoch > epochs]
    missed = [f"the warm-up of {counted(round(warmup, 2), 'epoch')} is not over"] if warmup >= epochs else []
    missed += [f"the rate has not yet fallen as planned after epoch {', '.join(late)}"] if late else []
    if not missed:
        return None
    # A smaller --batch lengthens a warm-up in iterations, whatever --epochs is.
    fewer = f", or set schedule.warmup_steps below {epochs * per_epoch}" if schedule.warmup_steps else ""
    return f"schedule: {' and '.join(missed)} at the end (epochs: {epochs}); --epochs scales the schedule too{fewer}"


def never_looked(recipe: Recipe) -> str | None:
    """A note if evaluations on held-out identities are requested although these are trained on."""
    if not recipe.evaluate_every:
        return None
    return (
        f"retrain.evaluate_every {recipe.evaluate_every} has no effect, because the held-out identities are trained on "
        "too; set data.retrain_on_holdout=false to evaluate on them"
    )


def thinned_out(recipe: Recipe) -> str | None:
    """A note on several branches if the mean of their classification losses gives each at most half the weight of a
    single branch: the vector used for retrieval then learns much more slowly (docs/recipes.md)."""
    parts, weight = recipe.head.parts, recipe.losses.classification.weight
    if parts is None or parts.update != "all" or not weight:
        return None
    branches = parts.stripes + parts.global_branch
    if weight > branches / 2:
        return None
    return (
        f"losses.classification.weight {weight:g} applies to the mean over {branches} branches, "
        f"so {weight / branches:.2g} for each; {branches} gives each the weight of a single one, and needs a "
        "clip_gradient raised in proportion"
    )


def no_branches(name: str, which: ZeroInit) -> str | None:
    """A note on a fresh network without any residual branch that the code knows and that the recipe's
    ``zero_init_residual`` applies to."""
    if which in (False, "auto"):  # neither requires such branches
        return None
    return f"zero_init_residual has no effect: no such residual branch of {name} is known, so it keeps its own start"


def recipe_notes(recipe: Recipe, classes: int, per_epoch: int) -> list[str]:
    """All notes on ``recipe``; ``classes`` is the number of training identities, ``per_epoch`` of steps per epoch."""
    notes = (
        never_trained(recipe),
        never_reached(recipe, per_epoch),
        bluntness(recipe.losses.classification, classes),
        thinned_out(recipe),
        without_pairs(recipe, classes),
    )
    return [note for note in notes if note]
