"""Training a stand-alone network to distinguish identities: classification of its parts, metric losses, a teacher."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable

import torch
from torch import nn

from reid.data.mixup import blended
from reid.engine.bn_calibration import calibrate
from reid.engine.machine.distributed import gather_batch
from reid.engine.recipe.optimizers import Group, group_of
from reid.engine.tasks.objective import identity_losses, said_logits, same_every_step
from reid.engine.tasks.task import StepContext
from reid.engine.tasks.teacher import Ensemble, Teacher, check_teacher, distillation_losses
from reid.losses.center import CenterLoss
from reid.losses.config import LossConfig
from reid.models.classifiers import Classifier, CosineClassifier, classifiers_of
from reid.models.heads import HeadOutput
from reid.models.network import ReidNetwork, head_outputs


class IdentityTask(nn.Module):
    """A network with its training classifiers, called by the training loop once per step.

    Args:
        network: the network to train.
        classes: number of training identities.
        losses: the losses and their weights.
        teacher: what the network learns from besides the labels; not part of the task's state.

    Raises:
        UserError: the losses need something that the teacher does not have.
    """

    def __init__(
        self, network: ReidNetwork, classes: int, losses: LossConfig, teacher: Teacher | Ensemble | None = None
    ) -> None:
        super().__init__()
        self.network, self.losses = network, losses
        kind = Classifier if losses.classification.kind == "linear" else CosineClassifier
        self.classifiers = classifiers_of(network.head, classes, kind)
        self.center = CenterLoss(classes, network.head.metric_dim) if losses.center.weight else None
        if teacher is not None:
            check_teacher(losses.distillation, teacher, classes, network.feature_dim)
        self._teacher = (teacher,)  # in a tuple, so that torch does not treat it as a part of this module

    @property
    def same_every_step(self) -> bool:
        """See ``reid.engine.tasks.task.Task``."""
        return same_every_step(self.losses, self.network.head.rule)

    def backward(self, images: torch.Tensor, labels: torch.Tensor, context: StepContext) -> dict[str, torch.Tensor]:
        """Adds the gradient of one batch through ``context.backward``; returns the log's scalars, on the device."""
        head = self.network.head
        if self.losses.distillation.mixup:
            images = blended(images, self.losses.distillation.mixup)
        with context.autocast():
            output = head_outputs(head, context.run(self.network.backbone, images))
        parts = output.parts or (output.embedding,)
        logits = [self.classifiers[index](part) for index, part in zip(head.part_classifiers, parts, strict=True)]
        told = self._teacher[0](images, context.autocast) if self._teacher[0] is not None else None
        if context.processes.several:
            gather = functools.partial(gather_batch, context.processes)
            output = HeadOutput(gather(output.feature), gather(output.embedding))
            logits, labels = [gather(each) for each in logits], gather(labels)
            told = told and tuple(each if each is None else gather(each) for each in told)
        total, log = identity_losses(
            output,
            logits,
            labels,
            self.losses,
            epoch=context.epoch,
            generator=context.generator,
            center=self.center,
            rule=head.rule,
        )
        if told is not None:
            own = said_logits(logits, self.losses.classification, head.rule)
            distilled = distillation_losses(output.embedding, own, *told, self.losses.distillation)
            total = total + distilled
            log |= {"loss": total.detach(), "loss_distillation": distilled.detach()}
        context.backward(total)
        if self.center is not None:
            self.center.follow(output.feature.detach(), labels, self.losses.center.rate)
        return log

    def recalibrate(self, images: Iterable[torch.Tensor], fixed: Collection[Group] = ()) -> None:
        """Recomputes the BN statistics of the network on prepared images; see ``Task``."""
        calibrate(self.network, images, {layer for name, layer in self.named_modules() if group_of(name) in fixed})
