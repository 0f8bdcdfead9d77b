"""``SupernetRecipe``: how a supernet is trained, and checks that refuse impossible recipes before the training."""

from __future__ import annotations

import dataclasses
from typing import Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.engine.recipe import Recipe
from reid.engine.recipe.optimizers import frozen_groups
from reid.engine.recipe.scaling import at_epochs
from reid.engine.runs.tags import TAGS
from reid.engine.tasks.objective import loss_names
from reid.errors import UserError, nearest
from reid.models.heads import HeadConfig
from reid.numbers import NonNegative
from reid.words import counted
from supernet.sharing import DepthSharing, Sharing
from supernet.space import Space
from supernet.training.sampling import SamplingConfig

HELD_OUT = ("largest_mAP", "smallest_mAP")
"""What the looks at held-out identities are called in the training's records."""

OF_SECOND = ("loss", "loss_triplet", "accuracy")
"""What is recorded of the arch that a step trains after the largest."""


@dataclass(frozen=True, config=STRICT)
class SupernetRecipe:
    """A recipe, and the supernet's additions to it.

    Attributes:
        sampling: which archs a step trains.
        kernel_transforms, depth_sharing: see ``supernet.sharing``.
        label_weight: weight of the recipe's own losses, including those of ``losses.distillation``, for every arch that
            the largest one teaches (1 for others).
        logit_weight: weight of the distillation of the largest arch's class probabilities.
        similarity_weight: weight of the distillation of its similarity matrix; the search scores on unseen identities,
            about which class probabilities say nothing.
        embedding_weight: weight of the distillation of its embeddings, image by image; for spaces whose archs all have
            embeddings of one length.
    """

    recipe: Recipe = Recipe()
    sampling: SamplingConfig = SamplingConfig()
    kernel_transforms: bool = False
    depth_sharing: DepthSharing = "first"
    label_weight: NonNegative = 0.5
    logit_weight: NonNegative = 1.0
    similarity_weight: NonNegative = 10.0
    embedding_weight: NonNegative = 0.0

    @model_validator(mode="after")
    def _all_archs_learn(self) -> Self:
        alone, epochs = self.sampling.warmup_epochs, self.recipe.epochs
        if alone >= epochs:
            raise ValueError(
                f"sampling.warmup_epochs {alone:g} of {counted(epochs, 'epoch')}: only the largest arch would "
                "be trained; give fewer epochs"
            )
        if self.sampling.largest_every == 1 and not any(
            (self.label_weight, self.logit_weight, self.similarity_weight, self.embedding_weight)
        ):
            raise ValueError(
                "label_weight, logit_weight, similarity_weight and embedding_weight are all 0: the archs besides the "
                "largest would learn nothing; set one above 0"
            )
        return self

    @property
    def sharing(self) -> Sharing:
        return Sharing(self.kernel_transforms, self.depth_sharing)

    def at_epochs(self, epochs: int) -> SupernetRecipe:
        """The recipe with ``epochs`` epochs; the schedule and the epochs of the largest arch alone scale in proportion;
        see ``reid.engine.recipe.scaling``."""
        alone = self.sampling.warmup_epochs * epochs / self.recipe.epochs
        sampling = dataclasses.replace(self.sampling, warmup_epochs=alone)
        return dataclasses.replace(self, recipe=at_epochs(self.recipe, epochs), sampling=sampling)


def check_recipe(config: SupernetRecipe, space: Space) -> None:
    """Raises UserError if the recipe asks for something that a supernet of ``space`` does not support."""
    recipe = config.recipe
    pooled = {width or last for width in space.last_widths for last in space.stages[-1].widths}
    if config.embedding_weight and space.embedding is None and len(pooled) > 1:
        raise UserError(
            "supernet.embedding_weight: archs of this space have embeddings of different lengths; set it to 0, or give "
            "the space an embedding"
        )
    if recipe.losses.distillation.embedding and space.embedding is None and len(pooled) > 1:
        raise UserError(
            "supernet.recipe.losses.distillation.embedding: archs of this space have embeddings of different lengths; "
            "set it to 0 and use similarity, or give the space an embedding"
        )
    if recipe.head != HeadConfig():
        raise UserError("supernet.recipe.head: a supernet has the plain BNNeck head; leave the key out")
    if recipe.losses.classification.kind != "linear":
        raise UserError(
            "supernet.recipe.losses.classification.kind: a supernet has only the linear classifier; leave the key out"
        )
    optimizer = recipe.optimizer
    if frozen_groups(optimizer, 1) or any(dataclasses.astuple(optimizer.freeze_epochs)):
        raise UserError("supernet.recipe.optimizer: no part of a supernet can be fixed; set every rate above 0")
    if recipe.losses.center.weight:
        raise UserError(
            "supernet.recipe.losses.center: archs have features of different lengths, so there are no common "
            "centers; set its weight to 0"
        )
    if recipe.compile:
        raise UserError(
            "supernet.recipe.compile: every step runs other archs, each of which would be compiled; leave it out"
        )
    if recipe.keep_best:
        raise UserError("supernet.recipe.keep_best: a search runs on a supernet's last weights; leave it out")
    if recipe.early_stopping is not None:
        _check_measured(recipe, config.sampling)


def second_arch(sampling: SamplingConfig) -> str:
    """Name in the records of the arch that a step trains after the largest; ``_`` and one of ``OF_SECOND`` follow."""
    return "smallest" if sampling.smallest else "random"


def _not_beside(sampling: SamplingConfig) -> str | None:
    """Why, in words, some epochs may have no step that trains an arch after the largest; None if there need not be
    any."""
    if not sampling.largest_every:
        return "no step trains the largest (sampling.largest_every: 0)"
    if not sampling.archs and not sampling.smallest:
        return "none is (sampling.archs: 0)"
    if sampling.warmup_epochs >= 1:
        return f"none is in the first {counted(sampling.warmup_epochs, 'epoch')} (sampling.warmup_epochs)"
    return None


def _check_measured(recipe: Recipe, sampling: SamplingConfig) -> None:
    """Checks, before anything is trained, what the loop would only notice at its first look, hours later."""
    where, metric = "supernet.recipe.early_stopping.metric", recipe.early_stopping.metric
    if metric in HELD_OUT and not recipe.evaluate_every:
        raise UserError(f"{where} {metric} is never measured; set supernet.recipe.evaluate_every above 0")
    beside = tuple(f"{second_arch(sampling)}_{name}" for name in OF_SECOND)
    if metric in beside and (why := _not_beside(sampling)):
        raise UserError(
            f"{where} {metric} is measured on an arch that is trained besides the largest, and {why}; name 'loss'"
        )
    measured = (*HELD_OUT, *TAGS, *loss_names(recipe.losses), *beside)
    if metric not in measured:
        known = nearest(metric, measured)
        raise UserError(
            f"{where}: '{metric}' is never measured{known}; on held-out identities a supernet has "
            f"{' and '.join(HELD_OUT)}"
        )
