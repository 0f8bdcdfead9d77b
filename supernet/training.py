"""Supernet training: the sandwich rule with in-place distillation (Yu et al. 2020, BigNAS), on the common training
loop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from reid.config import STRICT
from reid.engine.identity_task import Backward, identity_losses
from reid.engine.recipe import LossConfig, NonNegative, Recipe
from reid.losses.distillation import logit_distillation, similarity_distillation
from supernet.elastic import ElasticLinear
from supernet.sampling import sandwich
from supernet.supernet import Supernet


@dataclass(frozen=True, config=STRICT)
class SupernetRecipe:
    """A recipe, and what the supernet adds to it.

    Attributes:
        random_archs: uniform archs a step, beside the largest and the smallest.
        label_weight: weight of the recipe's own losses for every arch but the largest (which has weight 1).
        logit_weight: weight of the distillation of the largest arch's class probabilities.
        similarity_weight: weight of the distillation of its similarity matrix; the identities that the search scores
            on are unseen, and there class probabilities say nothing.
    """

    recipe: Recipe = Recipe()
    random_archs: Annotated[int, Field(ge=0)] = 2
    label_weight: NonNegative = 0.5
    logit_weight: NonNegative = 1.0
    similarity_weight: NonNegative = 10.0


class SupernetTask(nn.Module):
    """A supernet with its training classifier; what the training loop calls once a step.

    Args:
        supernet: what is trained.
        classes: number of training identities.
        config: weights and number of archs a step.
        seed: of the archs that are drawn.
    """

    def __init__(self, supernet: Supernet, classes: int, config: SupernetRecipe, seed: int) -> None:
        super().__init__()
        self.supernet = supernet
        self.classifier = ElasticLinear(supernet.feature_dim, classes, std=0.001)
        self.config, self.seed = config, seed

    def backward(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        step: int,
        autocast: Callable[[], AbstractContextManager],
        backward: Backward,
    ) -> dict[str, torch.Tensor]:
        """Adds the gradients of one batch through every arch of the step; returns the largest arch's log, on the
        device.

        Each arch's graph is freed before the next one runs, so memory is that of the largest arch alone.
        """
        config, losses = self.config, self.config.recipe.losses
        largest, *others = sandwich(self.supernet.space, step, self.seed, config.random_archs)
        share = 1.0 / (1 + len(others))
        output, logits = self._run(images, largest, autocast)
        total, log = identity_losses(output, logits, labels, losses)
        backward(share * total)
        teacher_embedding, teacher_logits = output.embedding.detach(), logits.detach()
        for position, arch in enumerate(others):
            output, logits = self._run(images, arch, autocast)
            own, own_log = self._student_loss(output, logits, labels, losses, teacher_embedding, teacher_logits)
            backward(share * own)
            if position == 0:
                log |= {f"smallest_{name}": own_log[name] for name in ("loss", "loss_triplet", "accuracy")}
        return log

    def _run(self, images, arch, autocast):
        with autocast():
            output = self.supernet.outputs(images, arch)
            return output, self.classifier(output.embedding)

    def _student_loss(self, output, logits, labels, losses: LossConfig, teacher_embedding, teacher_logits):
        config = self.config
        own, log = identity_losses(output, logits, labels, losses)
        total = (
            config.label_weight * own
            + config.logit_weight * logit_distillation(logits, teacher_logits)
            + config.similarity_weight * similarity_distillation(output.embedding, teacher_embedding)
        )
        return total, log
