"""Supernet training: several archs a step with in-place distillation (Yu et al. 2020, BigNAS), on the common training
loop."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Iterable, Sequence

import torch
from pydantic.dataclasses import dataclass
from torch import nn

from reid.config import STRICT
from reid.data.prepare import resize_prepared
from reid.engine.distributed import gather_batch
from reid.engine.objective import identity_losses
from reid.engine.optimizers import Group, frozen_groups
from reid.engine.recipe import Recipe
from reid.engine.scaling import at_epochs
from reid.engine.task import StepContext
from reid.errors import UserError
from reid.losses.distillation import embedding_distillation, logit_distillation, similarity_distillation
from reid.models.heads import HeadConfig, HeadOutput
from reid.numbers import NonNegative
from supernet.arch import Arch
from supernet.elastic import ElasticLinear
from supernet.sampling import Draw, SamplingConfig, step_archs, uniform
from supernet.sharing import DepthSharing, Sharing
from supernet.space import Space
from supernet.supernet import Supernet


@dataclass(frozen=True, config=STRICT)
class SupernetRecipe:
    """A recipe, and what the supernet adds to it.

    Attributes:
        sampling: which archs a step trains.
        kernel_transforms, depth_sharing: see ``supernet.sharing``.
        label_weight: weight of the recipe's own losses for every arch that the largest one teaches (1 for others).
        logit_weight: weight of the distillation of the largest arch's class probabilities.
        similarity_weight: weight of the distillation of its similarity matrix; the identities that the search scores
            on are unseen, and there class probabilities say nothing.
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

    @property
    def sharing(self) -> Sharing:
        return Sharing(self.kernel_transforms, self.depth_sharing)

    def at_epochs(self, epochs: int) -> SupernetRecipe:
        """With ``epochs`` epochs, the schedule and the epochs of the largest arch alone stretched or shrunk by as much;
        see ``reid.engine.scaling``."""
        alone = self.sampling.warmup_epochs * epochs / self.recipe.epochs
        sampling = dataclasses.replace(self.sampling, warmup_epochs=alone)
        return dataclasses.replace(self, recipe=at_epochs(self.recipe, epochs), sampling=sampling)


class SupernetTask(nn.Module):
    """A supernet with its training classifier; what the training loop calls once a step.

    Args:
        supernet: what is trained.
        classes: number of training identities.
        config: weights and number of archs a step.
        seed: of the archs that are drawn.
        draw: draws the random ones; ``None`` for ``supernet.sampling.uniform``. What ``sampling.spread`` asks for is
            the caller's to bring, since FLOPs are not known here.

    Raises:
        UserError: the recipe asks for a head or a loss that a supernet does not have.
    """

    same_every_step = False  # each has other archs

    @property
    def restless_epochs(self) -> range:
        """See ``reid.engine.task.Task``. The log is of a step's first arch: where the largest is not in every step, one
        that has hardly been trained takes its place once its warm-up is over."""
        sampling = self.config.sampling
        if not sampling.warmup_epochs or sampling.largest_every == 1:
            return range(0)
        over = int(sampling.warmup_epochs) + 1  # the epoch that the warm-up ends in, or that follows its last
        return range(over, over + 2)

    def __init__(
        self, supernet: Supernet, classes: int, config: SupernetRecipe, seed: int, draw: Draw | None = None
    ) -> None:
        super().__init__()
        _check(config, supernet.space)
        self.supernet = supernet
        self.classifier = ElasticLinear(supernet.feature_dim, classes, std=0.001)
        self.config, self.seed = config, seed
        self._draw = draw or uniform(supernet.space)

    def backward(self, images: torch.Tensor, labels: torch.Tensor, context: StepContext) -> dict[str, torch.Tensor]:
        """Adds the gradients of one batch through every arch of the step; returns the log of its first one, which is
        the largest where that is in the step, on the device.

        Each arch's graph is freed before the next one runs, so memory is that of the largest arch alone.
        """
        labels = gather_batch(context.processes, labels)
        sampling, space = self.config.sampling, self.supernet.space
        places = step_archs(space, sampling, self._draw, self.seed, context.number, context.epoch)
        taught = sampling.with_largest(context.number, context.epoch)
        teacher, log = None, {}
        for number, archs in enumerate(places):
            arch = self._attended(archs, images, labels, context)
            output, logits = self._run(images, arch, context)
            own, own_log = self._labelled(output, logits, labels, context)
            loss = own if teacher is None else self._taught(own, output, logits, *teacher)
            context.backward(loss / len(places))
            if number == 0:
                log = own_log
                if taught:
                    teacher = HeadOutput(output.feature.detach(), output.embedding.detach()), logits.detach()
            elif number == 1 and taught:
                name = "smallest" if sampling.smallest else "random"
                log |= {f"{name}_{what}": own_log[what] for what in ("loss", "loss_triplet", "accuracy")}
        return log

    @torch.no_grad()
    def _attended(
        self, archs: Sequence[Arch], images: torch.Tensor, labels: torch.Tensor, context: StepContext
    ) -> Arch:
        """The arch of a place that is trained: the one with the least loss, or with the greatest."""
        if len(archs) == 1:
            return archs[0]
        losses = torch.stack(
            [self._labelled(*self._run(images, arch, context), labels, context)[0].float() for arch in archs]
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
        taught = (
            config.label_weight * own
            + config.logit_weight * logit_distillation(logits, teacher_logits)
            + config.similarity_weight * similarity_distillation(output.embedding, teacher.embedding)
        )
        if config.embedding_weight:
            taught = taught + config.embedding_weight * embedding_distillation(output.embedding, teacher.embedding)
        return taught


def _check(config: SupernetRecipe, space: Space) -> None:
    recipe = config.recipe
    pooled = {width or last for width in space.last_widths for last in space.stages[-1].widths}
    if config.embedding_weight and space.embedding is None and len(pooled) > 1:
        raise UserError(
            "supernet.embedding_weight: archs of this space have embeddings of different lengths; set it to 0, or give "
            "the space an embedding"
        )
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
    if recipe.compile:
        raise UserError(
            "supernet.recipe.compile: every step runs other archs, and each would be compiled; leave it out"
        )
    if recipe.keep_best:
        raise UserError("supernet.recipe.keep_best: a search runs on a supernet's last weights; leave it out")
    stopping = recipe.early_stopping
    if stopping is not None and stopping.metric.startswith("holdout_"):
        raise UserError("supernet.recipe.early_stopping.metric: a supernet's are largest_mAP and smallest_mAP")
