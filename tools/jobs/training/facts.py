"""Facts about a training that the training doctor needs, from its recipe and its data."""

from __future__ import annotations

from dataclasses import replace

from reid.data.records import ImageSet
from reid.engine.doctor import TrainingFacts, facts_of, identity_overlap, random_level
from reid.engine.recipe import Recipe
from tools.jobs.data import Source, test_data


def training_facts(
    recipe: Recipe, images: ImageSet, steps_per_epoch: int, held: tuple[ImageSet, ImageSet] | None, source: Source
) -> TrainingFacts:
    """The facts of a training on ``images``.

    Test images, if any, are only compared with the training images, to find persons that are in both.

    Args:
        held: query and gallery on which the training is monitored, if it is.
    """
    overlap = identity_overlap(images, *test_data(source)) if source.dataset.has_test else None
    if overlap and source.also_train:  # merging renumbers persons, so numbers from different data sets may coincide
        overlap = replace(overlap, identities=())
    level = held and random_level(held[0].pids, held[0].camids, held[1].pids, held[1].camids)
    return facts_of(
        recipe,
        images.pids,
        steps_per_epoch,
        fills_identities=recipe.sampler != "random",
        random_mAP=level.mAP if level else None,
        overlap=overlap,
    )
