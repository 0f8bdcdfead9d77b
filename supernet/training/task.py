"""Supernet training: several archs per step with in-place distillation (Yu et al. 2020, BigNAS), on the common
training loop."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Sequence

import torch
from torch import nn

from reid.data.mixup import blended
from reid.data.prepare import resize_prepared
from reid.engine.machine.distributed import gather_batch
from reid.engine.recipe.optimizers import Group
from reid.engine.tasks.objective import identity_losses
from reid.engine.tasks.task import StepContext
from reid.engine.tasks.teacher import Ensemble, Teacher, check_teacher, distillation_losses
from reid.losses.distillation import embedding_distillation, logit_distillation, similarity_distillation
from reid.models.heads import HeadOutput
from supernet.arch import Arch
from supernet.layers.elastic import ElasticLinear
from supernet.supernet import Supernet
from supernet.training.recipe import OF_SECOND, SupernetRecipe, check_recipe, second_arch
from supernet.training.sampling import Draw, step_archs, uniform

Told = tuple[torch.Tensor, torch.Tensor | None]
"""A teacher's embeddings ``(N, D)`` and logits ``(N, C)`` of a batch; see ``Teacher``."""


class SupernetTask(nn.Module):
    """A supernet with its training classifier; the training loop calls it once per step.

    Args:
        supernet: the supernet to train.
        classes: number of training identities.
        config: weights and number of archs per step.
        seed: of the archs that are drawn.
        draw: draws the random archs; ``None`` for ``supernet.training.sampling.uniform``. The caller must choose it to
            match ``sampling.spread``, since FLOPs are not known here.
        teacher: a network that every arch learns from besides the labels, as ``recipe.losses.distillation`` says; it is
            not part of the task's state.

    Raises:
        UserError: the recipe needs a head or a loss that a supernet does not have, or something that the teacher does
            not have.
    """

    same_every_step = False  # each step has other archs

    @property
    def restless_epochs(self) -> range:
        """See ``reid.engine.tasks.task.Task``. The log is of a step's first arch: if the largest is not in every step,
        an arch that has hardly been trained takes its place once the warm-up is over."""
        sampling = self.config.sampling
        if not sampling.warmup_epochs or sampling.largest_every == 1:
            return range(0)
        over = int(sampling.warmup_epochs) + 1  # the epoch that the warm-up ends in, or that follows its last
        return range(over, over + 2)

    def __init__(
        self,
        supernet: Supernet,
        classes: int,
        config: SupernetRecipe,
        seed: int,
        draw: Draw | None = None,
        teacher: Teacher | Ensemble | None = None,
    ) -> None:
        super().__init__()
        check_recipe(config, supernet.space)
        self.supernet = supernet
        self.classifier = ElasticLinear(supernet.feature_dim, classes, std=0.001)
        self.config, self.seed = config, seed
        self._draw = draw or uniform(supernet.space)
        if teacher is not None:
            check_teacher(config.recipe.losses.distillation, teacher, classes, supernet.feature_dim)
        self._teacher = (teacher,)  # in a tuple, so that torch does not take it for a part of this module

    def backward(self, images: torch.Tensor, labels: torch.Tensor, context: StepContext) -> dict[str, torch.Tensor]:
        """Adds the gradients of one batch through every arch of the step; returns the log of the first one (the
        largest, if it is in the step), on the device.

        Each arch's graph is freed before the next one runs, so memory is that of the largest arch alone.
        """
        labels = gather_batch(context.processes, labels)
        if self.config.recipe.losses.distillation.mixup:
            images = blended(images, self.config.recipe.losses.distillation.mixup)
        sampling, space = self.config.sampling, self.supernet.space
        places = step_archs(space, sampling, self._draw, self.seed, context.number, context.epoch)
        taught = sampling.with_largest(context.number, context.epoch)
        told = self._told(images, context)
        teacher, log = None, {}
        for number, archs in enumerate(places):
            arch = self._attended(archs, images, labels, told, context)
            output, logits = self._run(images, arch, context)
            own, own_log = self._labelled(output, logits, labels, told, context)
            loss = own if teacher is None else self._taught(own, output, logits, *teacher)
            context.backward(loss / len(places))
            if number == 0:
                log = own_log
                if taught:
                    teacher = HeadOutput(output.feature.detach(), output.embedding.detach()), logits.detach()
            elif number == 1 and taught:
                log |= {f"{second_arch(sampling)}_{what}": own_log[what] for what in OF_SECOND}
        return log

    def _told(self, images: torch.Tensor, context: StepContext) -> Told | None:
        """The teacher's outputs for a batch, at the size of the largest archs, including other processes' shares."""
        (teacher,) = self._teacher
        if teacher is None:
            return None
        embedding, logits = teacher(images, context.autocast)
        gather = functools.partial(gather_batch, context.processes)
        return gather(embedding), None if logits is None else gather(logits)

    @torch.no_grad()
    def _attended(
        self,
        archs: Sequence[Arch],
        images: torch.Tensor,
        labels: torch.Tensor,
        told: Told | None,
        context: StepContext,
    ) -> Arch:
        """The arch of a place to train: the one with the lowest loss, or with the highest."""
        if len(archs) == 1:
            return archs[0]
        losses = torch.stack(
            [self._labelled(*self._run(images, arch, context), labels, told, context)[0].float() for arch in archs]
        )
        best = self.config.sampling.attentive == "best"
        return archs[int(losses.argmin() if best else losses.argmax())]

    def recalibrate(self, images: Iterable[torch.Tensor], fixed: Collection[Group] = ()) -> None:
        """Nothing to do: every arch's BN is calibrated after it is extracted."""

    def _run(self, images: torch.Tensor, arch: Arch, context: StepContext) -> tuple[HeadOutput, torch.Tensor]:
        with context.autocast():
            output = self.supernet.outputs(resize_prepared(images, arch.input_size), arch)
        logits = self.classifier(output.embedding)
        gather = functools.partial(gather_batch, context.processes)
        return HeadOutput(gather(output.feature), gather(output.embedding)), gather(logits)

    def _labelled(
        self, output: HeadOutput, logits: torch.Tensor, labels: torch.Tensor, told: Told | None, context: StepContext
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The recipe's own losses, the teacher's among them, and the log."""
        losses, (epoch, generator) = self.config.recipe.losses, (context.epoch, context.generator)
        total, log = identity_losses(output, (logits,), labels, losses, epoch=epoch, generator=generator)
        if told is None:
            return total, log
        distilled = distillation_losses(output.embedding, logits, *told, losses.distillation)
        total = total + distilled
        return total, log | {"loss": total.detach(), "loss_distillation": distilled.detach()}

    def _taught(
        self,
        own: torch.Tensor,
        output: HeadOutput,
        logits: torch.Tensor,
        teacher: HeadOutput,
        teacher_logits: torch.Tensor,
    ) -> torch.Tensor:
        config = self.config
        taught = (
            config.label_weight * own
            + config.logit_weight * logit_distillation(logits, teacher_logits)
            + config.similarity_weight * similarity_distillation(output.embedding, teacher.embedding)
        )
        if config.embedding_weight:
            taught = taught + config.embedding_weight * embedding_distillation(output.embedding, teacher.embedding)
        return taught
