"""The loss of a batch: the weighted sum of the recipe's losses over identities, and the signs for the log."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from reid.engine.doctor import embedding_signs
from reid.losses.angular import am_softmax_logits, circle_softmax_logits, margin_at
from reid.losses.center import CenterLoss
from reid.losses.centroid import centroid_triplet_loss
from reid.losses.circle import circle_loss
from reid.losses.config import ClassificationConfig, LossConfig
from reid.losses.cross_entropy import smoothed_cross_entropy
from reid.losses.triplet import triplet_loss
from reid.models.heads import HeadOutput
from reid.models.heads.branch_update import ALL_BRANCHES, BranchRule, select_parts

Log = dict[str, torch.Tensor]


def identity_losses(
    output: HeadOutput,
    logits: Sequence[torch.Tensor],
    labels: torch.Tensor,
    config: LossConfig,
    *,
    epoch: float,
    generator: torch.Generator,
    center: CenterLoss | None = None,
    rule: BranchRule = ALL_BRANCHES,
) -> tuple[torch.Tensor, Log]:
    """The weighted sum of the recipe's losses and, for the log, each loss and signs of the embedding without gradient.

    The classification loss is the mean over the branches of the head that learn in this step, so its weight has the
    same meaning for any head. The triplet's signs are logged even if its weight is 0.

    Args:
        output: output of the head; metric losses use ``output.feature (N, Df)``.
        logits: ``(N, C)`` for each part; cosines if the classification is angular.
        labels: ``(N,) int64``.
        epoch: with its fraction; margins may grow with it.
        generator: for losses that draw random numbers.
        center: the class centers, if that loss has a weight.
        rule: which of the head's branches learn in this step, and which predict the identity (``accuracy``).
    """
    classification = _classification(logits, labels, config.classification, epoch, generator, rule)
    triplet = _triplet(output.feature, labels, config, generator)
    losses = {"loss_ce": (config.classification.weight, classification)}
    losses["loss_triplet"] = (config.triplet.weight, triplet.loss)
    if config.circle.weight:
        circle = circle_loss(output.feature, labels, config.circle.margin, config.circle.scale)
        losses["loss_circle"] = (config.circle.weight, circle)
    if config.centroid.weight:
        centroid = centroid_triplet_loss(output.feature, labels, config.centroid.margin)
        losses["loss_centroid"] = (config.centroid.weight, centroid)
    if center is not None:
        losses["loss_center"] = (config.center.weight, center(output.feature, labels))
    none = output.feature.new_zeros((), dtype=torch.float32)  # the total if only the teacher's losses have a weight
    total = sum((weight * loss for weight, loss in losses.values() if weight), none)
    log = {"loss": total.detach()} | {name: loss.detach() for name, (_, loss) in losses.items()}
    log |= {
        "active_triplets": triplet.active,
        "distance_positive": triplet.positive,
        "distance_negative": triplet.negative,
        "distance_gap": triplet.gap,
        "accuracy": (_guesses(logits, config.classification, rule) == labels).float().mean(),
    }
    return total, log | embedding_signs(output.feature.detach(), labels)


def loss_names(config: LossConfig) -> tuple[str, ...]:
    """Names in the log of the losses of a training with ``config``, including a teacher's."""
    told = {
        "loss_circle": config.circle.weight,
        "loss_centroid": config.centroid.weight,
        "loss_center": config.center.weight,
        "loss_distillation": config.distillation.teacher,
    }
    return ("loss_ce", "loss_triplet", *(name for name, wanted in told.items() if wanted))


def _classification(
    logits: Sequence[torch.Tensor],
    labels: torch.Tensor,
    config: ClassificationConfig,
    epoch: float,
    generator: torch.Generator,
    rule: BranchRule,
) -> torch.Tensor:
    losses = []
    for part in logits:
        if config.kind == "am_softmax":
            part = am_softmax_logits(part, labels, config.scale, margin_at(config, epoch))
        elif config.kind == "circle":
            part = circle_softmax_logits(part, labels, config.scale, margin_at(config, epoch))
        losses.append(smoothed_cross_entropy(part, labels, config.smoothing, config.smoothing_over))
    branches = len(losses) - len(rule.extras)
    stacked = torch.stack(losses[:branches])
    chosen = select_parts(stacked, rule.update, rule.drop, generator) if branches > 1 else torch.ones_like(stacked)
    extras = zip(rule.extras, losses[branches:], strict=True)
    return (chosen * stacked).sum() / chosen.sum() + sum(weight * loss for weight, loss in extras)


def _guesses(logits: Sequence[torch.Tensor], config: ClassificationConfig, rule: BranchRule) -> torch.Tensor:
    """``(N,)`` classes that the head predicts."""
    return said_logits([part.detach() for part in logits], config, rule).argmax(1)


def said_logits(logits: Sequence[torch.Tensor], config: ClassificationConfig, rule: BranchRule) -> torch.Tensor:
    """``(N, C)`` logits by which a head predicts the identity: the global branch's or, without one, the mean of all
    branches' (the geometric mean of their class probabilities).

    Args:
        logits: ``(N, C)`` for each part; cosines if the classification is angular.
    """
    return logit_scale(config) * mean_logits(logits[: speakers(rule, len(logits))])


def mean_logits(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """The mean of ``logits`` in float32; a single one unchanged."""
    return logits[0] if len(logits) == 1 else torch.stack([each.float() for each in logits]).mean(0)


def speakers(rule: BranchRule, parts: int) -> int:
    """How many of a head's ``parts``, from the first on, predict the identity: only one if it covers the whole map."""
    return 1 if rule.whole else parts - len(rule.extras)


def _triplet(features: torch.Tensor, labels: torch.Tensor, config: LossConfig, generator: torch.Generator):
    if config.triplet.weight:
        return triplet_loss(features, labels, config.triplet, generator)
    with torch.no_grad():  # only for the log
        return triplet_loss(features, labels, config.triplet, generator)


def logit_scale(config: ClassificationConfig) -> float:
    """The factor that turns a classifier's outputs into logits; for cosines, their scale."""
    return 1.0 if config.kind == "linear" else config.scale


def same_every_step(config: LossConfig, rule: BranchRule) -> bool:
    """Whether the losses of a step neither draw random numbers on the host nor depend on the epoch."""
    drawn = config.triplet.selection == "random_negative" or rule.update == "random"
    drawn = drawn or config.distillation.mixup > 0  # drawn on the device, but not known to be recorded correctly
    by_epoch = config.classification.kind != "linear" and config.classification.margin_warmup > 0
    return not drawn and not by_epoch
