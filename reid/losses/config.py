"""Which losses a training sums, and how each is set; a weight of 0 leaves a loss out."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.numbers import NonNegative, Positive


@dataclass(frozen=True, config=STRICT)
class ClassificationConfig:
    """Cross-entropy over the training identities.

    Attributes:
        kind: ``linear`` takes the classifier's logits as they are; ``am_softmax`` and ``circle`` take cosines with
            ``scale`` and ``margin`` (``reid/losses/angular.py``).
        smoothing: label smoothing, of every kind (fast-reid's recipes also smooth its circle softmax).
        smoothing_over: ``all`` classes share it, the label too, or the ``others`` (``smoothed_cross_entropy``).
        margin_start, margin_warmup: the margin rises linearly from ``margin_start`` to ``margin`` over
            ``margin_warmup`` epochs (may be a fraction; 0: ``margin`` from the start, and no ``margin_start``).
    """

    weight: NonNegative = 1.0
    kind: Literal["linear", "am_softmax", "circle"] = "linear"
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    smoothing_over: Literal["all", "others"] = "all"
    scale: Positive = 30.0
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.35
    margin_start: NonNegative = 0.0
    margin_warmup: NonNegative = 0.0

    @field_validator("margin_start")
    @classmethod
    def _rises(cls, value: float, info: ValidationInfo) -> float:
        if value > info.data.get("margin", value):
            raise ValueError(f"must not exceed the margin of {info.data['margin']:g}")
        return value

    @model_validator(mode="after")
    def _is_begun_with(self) -> Self:
        if self.margin_start and not self.margin_warmup:
            raise ValueError(
                "margin_start has no effect with margin_warmup 0; set margin_warmup above 0, or leave margin_start out"
            )
        return self


@dataclass(frozen=True, config=STRICT)
class TripletConfig:
    """``margin`` null is the soft margin; ``normalize`` takes distances of L2-normalised features (then 0..2); for
    ``selection`` see ``triplet_loss``."""

    weight: NonNegative = 1.0
    margin: NonNegative | None = 0.3
    selection: Literal["batch_hard", "weighted", "semi_hard", "random_negative"] = "batch_hard"
    normalize: bool = False


@dataclass(frozen=True, config=STRICT)
class CircleConfig:
    """``circle_loss``, over pairs of the batch."""

    weight: NonNegative = 0.0
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.25
    scale: Positive = 64.0


@dataclass(frozen=True, config=STRICT)
class CenterConfig:
    """``CenterLoss``; ``rate`` is that of the centers' own SGD. The bag of tricks has weight 5e-4 and rate 0.5."""

    weight: NonNegative = 0.0
    rate: Positive = 0.5


@dataclass(frozen=True, config=STRICT)
class CentroidTripletConfig:
    """``centroid_triplet_loss``."""

    weight: NonNegative = 0.0
    margin: NonNegative = 0.3


_Named = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, config=STRICT)
class DistillationConfig:
    """Distillation losses from one or several trained teachers.

    Attributes:
        teacher: its checkpoint, or a list of checkpoints that teach as one (``reid.engine.tasks.teacher.Ensemble``).
        logits, embedding, similarity: weights of the three distillations (``reid/losses/distillation.py``).
        temperature: of the logits.
        mixup: the largest share of another image of the batch that is blended into each, for student and teacher alike
            (``reid.data.mixup.blended``); only where nothing is learnt from labels.
    """

    teacher: _Named | Annotated[tuple[_Named, ...], Field(min_length=1)] | None = None
    logits: NonNegative = 0.0
    temperature: Positive = 1.0
    embedding: NonNegative = 0.0
    similarity: NonNegative = 0.0
    mixup: Annotated[float, Field(ge=0, le=0.5)] = 0.0

    @field_validator("logits", "embedding", "similarity")
    @classmethod
    def _has_a_teacher(cls, value: float, info: ValidationInfo) -> float:
        if value > 0 and info.data.get("teacher", "") is None:
            raise ValueError("needs a teacher; set distillation.teacher to a checkpoint")
        return value

    @model_validator(mode="after")
    def _teacher_is_heard(self) -> Self:
        if self.teacher is not None and not self.enabled:
            raise ValueError("the teacher has no effect; set logits, embedding or similarity above 0")
        if self.mixup and self.teacher is None:
            raise ValueError(
                "mixup: blended images have no label, so they need a teacher; set distillation.teacher to a checkpoint"
            )
        if self.embedding and len(self.teachers) > 1:
            raise ValueError(
                "embedding: vectors of several teachers have no common axes, so they cannot be averaged; set "
                "embedding=0 and use similarity"
            )
        return self

    @property
    def teachers(self) -> tuple[str, ...]:
        """Checkpoints of all teachers."""
        return () if self.teacher is None else (self.teacher,) if isinstance(self.teacher, str) else self.teacher

    @property
    def enabled(self) -> bool:
        """Whether any distillation loss has a weight."""
        return max(self.logits, self.embedding, self.similarity) > 0


@dataclass(frozen=True, config=STRICT)
class LossConfig:
    """The weighted sum that a training minimises; by default that of the bag of tricks without its center loss."""

    classification: ClassificationConfig = ClassificationConfig()
    triplet: TripletConfig = TripletConfig()
    circle: CircleConfig = CircleConfig()
    center: CenterConfig = CenterConfig()
    centroid: CentroidTripletConfig = CentroidTripletConfig()
    distillation: DistillationConfig = DistillationConfig()

    @model_validator(mode="after")
    def _tells_identities_apart(self) -> Self:
        # The center loss alone pulls everything into one point.
        apart = (self.classification.weight, self.triplet.weight, self.circle.weight, self.centroid.weight)
        if not any(apart) and not self.distillation.enabled:
            raise ValueError(
                "every loss that tells identities apart has weight 0; set the weight of classification or triplet "
                "above 0"
            )
        return self

    @model_validator(mode="after")
    def _blended_images_have_no_label(self) -> Self:
        labelled = ("classification", "triplet", "circle", "center", "centroid")
        heard = [name for name in labelled if getattr(self, name).weight]
        if self.distillation.mixup and heard:
            weights = ", ".join(f"{name}.weight" for name in heard)
            raise ValueError(f"distillation.mixup: blended images have no label; set these to 0: {weights}")
        return self
