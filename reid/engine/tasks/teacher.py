"""Teachers: trained networks with fixed weights from which another network learns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from reid.engine.tasks.objective import mean_logits
from reid.errors import UserError
from reid.losses.config import DistillationConfig
from reid.losses.distillation import embedding_distillation, logit_distillation, similarity_distillation
from reid.models.network import ReidNetwork


@dataclass(frozen=True, eq=False)
class Teacher:
    """A trained network, with classifiers of its training identities if the student learns logits.

    Attributes:
        network: in eval mode, on the training device; never trained.
        classifiers: one for each of its head's first vectors that predict the identity (several if there are only
            stripes), ``(N, Di)`` to ``(N, C)`` logits over the same identities as the student's; or none.
        scale: factor on the classifiers' outputs; for cosines, the scale of their loss.
    """

    network: ReidNetwork
    classifiers: tuple[nn.Module, ...] = ()
    scale: float = 1.0

    def __deepcopy__(self, memo: dict) -> Teacher:
        """Returns itself: it never changes, so a copy of its student (an average of weights) can share it."""
        return self

    @torch.no_grad()
    def __call__(
        self, images: torch.Tensor, autocast: Callable[[], AbstractContextManager]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Embeddings ``(N, D)`` and logits ``(N, C)`` (or ``None``) of a batch, without gradient."""
        with autocast():
            output = self.network.outputs(images)
        if not self.classifiers:
            return output.embedding, None
        # Not the embedding, which may be normalised, or several branches' vectors concatenated.
        parts = output.parts or (output.embedding,)
        said = [classify(part) for classify, part in zip(self.classifiers, parts, strict=False)]
        return output.embedding, self.scale * mean_logits(said)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Several teachers that act as one.

    Its embedding concatenates all their vectors, each normalised to length 1, so the cosine of two such embeddings is
    the mean of the teachers' cosines. Its logits are the mean of theirs, as in Hinton et al. 2015 (the geometric mean
    of their class probabilities, at any temperature).
    """

    members: tuple[Teacher, ...]

    def __deepcopy__(self, memo: dict) -> Ensemble:
        return self  # as a ``Teacher``

    @torch.no_grad()
    def __call__(
        self, images: torch.Tensor, autocast: Callable[[], AbstractContextManager]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Embeddings ``(N, sum of D)`` and logits ``(N, C)`` of a batch; no logits if a member has none."""
        embeddings, logits = zip(*(member(images, autocast) for member in self.members), strict=True)
        joined = torch.cat([F.normalize(each.float(), dim=1) for each in embeddings], dim=1)
        if any(each is None for each in logits):
            return joined, None
        return joined, torch.stack([each.float() for each in logits]).mean(0)


def check_teacher(config: DistillationConfig, teacher: Teacher | Ensemble, classes: int, dim: int) -> None:
    """Checks before training that ``teacher`` provides what ``config`` distils.

    Raises:
        UserError: logits are needed but missing or of another number of identities, or embeddings are needed but have
            another length.
    """
    members = teacher.members if isinstance(teacher, Ensemble) else (teacher,)
    for name, each in zip(config.teachers, members, strict=True):
        _check(config, name, each, classes, dim)


def _check(config: DistillationConfig, name: str, teacher: Teacher, classes: int, dim: int) -> None:
    if config.logits:
        if not teacher.classifiers:
            raise UserError(
                f"teacher {name}: has no classifier.safetensors next to its weights, so its logits cannot be "
                "distilled; set losses.distillation.logits=0, or train one on its fixed weights (docs/training.md, "
                "Teachers)"
            )
        theirs = teacher.classifiers[0].weight.shape[0]
        if theirs != classes:
            raise UserError(
                f"teacher {name}: was trained on {theirs} identities, the student on {classes}; set "
                "losses.distillation.logits=0"
            )
    if config.embedding and teacher.network.feature_dim != dim:
        raise UserError(
            f"teacher {name}: its embedding has {teacher.network.feature_dim} numbers, but the student's has {dim}; "
            "use losses.distillation.similarity, or give both the same head.embedding"
        )


def distillation_losses(
    embedding: torch.Tensor,
    logits: torch.Tensor,
    teacher_embedding: torch.Tensor,
    teacher_logits: torch.Tensor | None,
    config: DistillationConfig,
) -> torch.Tensor:
    """The weighted sum of the distillation losses, from ``(N, D)`` embeddings and ``(N, C)`` logits of both."""
    total = embedding.new_zeros((), dtype=torch.float32)
    if config.logits:
        total = total + config.logits * logit_distillation(logits, teacher_logits, config.temperature)
    if config.embedding:
        total = total + config.embedding * embedding_distillation(embedding, teacher_embedding)
    if config.similarity:
        total = total + config.similarity * similarity_distillation(embedding, teacher_embedding)
    return total
