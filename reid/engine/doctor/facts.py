"""Facts about a training besides its records: the numbers of its recipe and data."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingFacts:
    """The numbers that the doctor's rules compare the records with.

    Attributes:
        epochs: of the whole training.
        steps_per_epoch: optimizer steps per epoch.
        classes: number of training identities.
        identities, instances: P and K of the batch; K = 0 if batches are drawn regardless of identities.
        identities_below_k: number of identities with fewer than K images.
        single_image_identities: number of identities with one image, which have no positive pair.
        margin: of the triplet loss; ``None`` is the soft margin.
        normalize: whether triplet distances are those of L2-normalised features.
        selection: how triplets are selected.
        triplet_weight: 0 for no triplet loss.
        plain_softmax: whether ``loss_ce`` is the cross-entropy of unscaled logits without a margin, so that guessing
            costs ``log(classes)``.
        classified: whether a loss trains the classifier, so that ``accuracy`` is meaningful.
        classifier_weight: sum of the weights of the mean and of further classifiers in ``loss_ce``.
        warmup: epochs; may be a fraction.
        learning_rate: after the warm-up.
        clip_gradient, precision, zero_init_residual: the recipe's.
        random_mAP: ``random_level`` of the held-out queries and gallery, if there are any.
        shared_identities, shared_images: numbers from ``identity_overlap``.
    """

    epochs: int
    steps_per_epoch: int
    classes: int
    identities: int
    instances: int
    identities_below_k: int = 0
    single_image_identities: int = 0
    margin: float | None = 0.3
    normalize: bool = False
    selection: str = "batch_hard"
    triplet_weight: float = 1.0
    plain_softmax: bool = True
    classified: bool = True
    classifier_weight: float = 1.0
    warmup: float = 0.0
    learning_rate: float = 0.05
    clip_gradient: float | None = None
    precision: str = "fp32"
    zero_init_residual: bool | str = False
    random_mAP: float | None = None
    shared_identities: int = 0
    shared_images: int = 0

    @property
    def triplet_level(self) -> float:
        """The triplet loss if all features are the same: its margin, or log 2 with the soft margin."""
        return math.log(2.0) if self.margin is None else self.margin

    @property
    def guessing_loss(self) -> float | None:
        """``loss_ce`` when guessing among the classes; ``None`` if the logits have a scale or a margin."""
        return self.classifier_weight * math.log(self.classes) if self.plain_softmax and self.classes > 1 else None
