"""A training's facts, derived from its recipe and its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from reid.engine.doctor.facts import TrainingFacts
from reid.engine.doctor.overlap import Overlap

if TYPE_CHECKING:
    from reid.engine.recipe import Recipe


def facts_of(
    recipe: Recipe,
    labels: torch.Tensor,
    steps_per_epoch: int,
    *,
    fills_identities: bool = True,
    random_mAP: float | None = None,
    overlap: Overlap | None = None,
) -> TrainingFacts:
    """The facts of a training that ``examine`` needs.

    Args:
        recipe: how it is trained.
        labels: ``(N,) int64``, the identity of each training image.
        steps_per_epoch: optimizer steps in an epoch.
        fills_identities: whether batches hold K images of an identity (all samplers but ``random``).
        random_mAP: ``random_level`` of the held-out queries and gallery, if they are monitored.
        overlap: ``identity_overlap`` of training and test images, if it was computed.
    """
    triplet, schedule, spectral = recipe.losses.triplet, recipe.schedule, recipe.head.spectral
    classification = recipe.losses.classification
    sizes = torch.unique(labels, return_counts=True)[1]
    return TrainingFacts(
        epochs=recipe.epochs,
        steps_per_epoch=steps_per_epoch,
        classes=len(sizes),
        identities=recipe.identities,
        instances=recipe.instances if fills_identities else 0,
        identities_below_k=int((sizes < recipe.instances).sum()),
        single_image_identities=int((sizes == 1).sum()),
        margin=triplet.margin,
        normalize=triplet.normalize,
        selection=triplet.selection,
        triplet_weight=triplet.weight,
        plain_softmax=classification.kind == "linear" and classification.weight > 0,
        classified=classification.weight > 0,
        classifier_weight=1.0 + (spectral.weight if spectral else 0.0),
        warmup=schedule.warmup or schedule.warmup_steps / steps_per_epoch,
        learning_rate=recipe.optimizer.lr,
        clip_gradient=recipe.clip_gradient,
        precision=recipe.precision,
        zero_init_residual=recipe.zero_init_residual,
        random_mAP=random_mAP,
        shared_identities=len(overlap.identities) if overlap else 0,
        shared_images=len(overlap.images) if overlap else 0,
    )
