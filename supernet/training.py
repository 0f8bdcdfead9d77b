"""Supernet training: the sandwich rule with in-place distillation (Yu et al. 2020, BigNAS), on the common training
loop."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from reid.config import STRICT
from reid.engine.distributed import gather_batch
from reid.engine.objective import identity_losses
from reid.engine.optimizers import frozen_groups
from reid.engine.recipe import Recipe
from reid.engine.task import StepContext
from reid.errors import UserError
from reid.losses.distillation import logit_distillation, similarity_distillation
from reid.models.heads import HeadConfig, HeadOutput
from reid.numbers import NonNegative
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

    Raises:
        UserError: the recipe asks for a head or a loss that a supernet does not have.
    """

    def __init__(self, supernet: Supernet, classes: int, config: SupernetRecipe, seed: int) -> None:
        super().__init__()
        _check(config.recipe)
        self.supernet = supernet
        self.classifier = ElasticLinear(supernet.feature_dim, classes, std=0.001)
        self.config, self.seed = config, seed

    def backward(self, images: torch.Tensor, labels: torch.Tensor, context: StepContext) -> dict[str, torch.Tensor]:
        """Adds the gradients of one batch through every arch of the step; returns the largest arch's log, on the
        device.

        Each arch's graph is freed before the next one runs, so memory is that of the largest arch alone.
        """
        labels = gather_batch(context.processes, labels)
        largest, *others = sandwich(self.supernet.space, context.number, self.seed, self.config.random_archs)
        share = 1.0 / (1 + len(others))
        output, logits = self._run(images, largest, context)
        total, log = self._labelled(output, logits, labels, context)
        context.backward(share * total)
        teacher = HeadOutput(output.feature.detach(), output.embedding.detach()), logits.detach()
        for position, arch in enumerate(others):
            output, logits = self._run(images, arch, context)
            own, own_log = self._labelled(output, logits, labels, context)
            context.backward(share * self._taught(own, output, logits, *teacher))
            if position == 0:
                log |= {f"smallest_{name}": own_log[name] for name in ("loss", "loss_triplet", "accuracy")}
        return log

    def recalibrate(self, images: Iterable[torch.Tensor]) -> None:
        """Nothing to do: every arch's BN is calibrated after it is extracted."""

    def _run(self, images: torch.Tensor, arch, context: StepContext) -> tuple[HeadOutput, torch.Tensor]:
        with context.autocast():
            output = self.supernet.outputs(images, arch)
            logits = self.classifier(output.embedding)
        gather = functools.partial(gather_batch, context.processes)
        return HeadOutput(gather(output.feature), gather(output.embedding)), gather(logits)

    def _labelled(self, output: HeadOutput, logits: torch.Tensor, labels: torch.Tensor, context: StepContext):
        losses = self.config.recipe.losses
        return identity_losses(output, (logits,), labels, losses, epoch=context.epoch, generator=context.generator)

    def _taught(
        self,
        own: torch.Tensor,
        output: HeadOutput,
        logits: torch.Tensor,
        teacher: HeadOutput,
        teacher_logits: torch.Tensor,
    ) -> torch.Tensor:
        config = self.config
        return (
            config.label_weight * own
            + config.logit_weight * logit_distillation(logits, teacher_logits)
            + config.similarity_weight * similarity_distillation(output.embedding, teacher.embedding)
        )


def _check(recipe: Recipe) -> None:
    if recipe.head != HeadConfig():
        raise UserError("supernet.recipe.head: a supernet has the plain BNNeck head; leave the key out")
    if recipe.losses.classification.kind != "linear":
        raise UserError("supernet.recipe.losses.classification.kind: a supernet has the linear classifier only")
    optimizer = recipe.optimizer
    if frozen_groups(optimizer, 1) or any(dataclasses.astuple(optimizer.freeze_epochs)):
        raise UserError("supernet.recipe.optimizer: no part of a supernet can be fixed; set every rate above 0")
    if recipe.losses.center.weight:
        raise UserError("supernet.recipe.losses.center: archs have features of different lengths, so no common centers")
    if recipe.losses.distillation.teacher:
        raise UserError("supernet.recipe.losses.distillation: the supernet's teacher is its largest arch; leave it out")
    if recipe.keep_best:
        raise UserError("supernet.recipe.keep_best: a search runs on a supernet's last weights; leave it out")
    stopping = recipe.early_stopping
    if stopping is not None and stopping.metric.startswith("holdout_"):
        raise UserError("supernet.recipe.early_stopping.metric: a supernet's are largest_mAP and smallest_mAP")
