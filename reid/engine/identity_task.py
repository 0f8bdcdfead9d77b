"""Training a stand-alone network to tell identities apart: cross-entropy on the embedding, triplet on the feature."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import nn

from reid.engine.recipe import LossConfig
from reid.losses.cross_entropy import smoothed_cross_entropy
from reid.losses.triplet import batch_hard_triplet
from reid.models.heads import Classifier, HeadOutput
from reid.models.network import ReidNetwork

Backward = Callable[[torch.Tensor], None]


def identity_losses(
    output: HeadOutput, logits: torch.Tensor, labels: torch.Tensor, config: LossConfig
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The weighted sum of the recipe's losses, and each of them (and the triplet's signs) without gradient, for the
    log.

    Args:
        output: ``(N, D)`` feature and embedding; logits: ``(N, C)``; labels: ``(N,) int64``.
    """
    cross_entropy = smoothed_cross_entropy(logits, labels, config.smoothing)
    triplet = batch_hard_triplet(output.feature, labels, config.margin)
    total = config.cross_entropy * cross_entropy + config.triplet * triplet.loss
    log = {
        "loss": total.detach(),
        "loss_ce": cross_entropy.detach(),
        "loss_triplet": triplet.loss.detach(),
        "active_triplets": triplet.active,
        "distance_gap": triplet.gap,
        "accuracy": (logits.argmax(1) == labels).float().mean(),
    }
    return total, log


class IdentityTask(nn.Module):
    """A network with its training classifier; what the training loop calls once a step.

    Args:
        network: what is trained.
        classes: number of training identities.
        losses: their weights.
    """

    def __init__(self, network: ReidNetwork, classes: int, losses: LossConfig) -> None:
        super().__init__()
        self.network = network
        self.classifier = Classifier(network.feature_dim, classes)
        self.losses = losses

    def backward(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        step: int,
        autocast: Callable[[], AbstractContextManager],
        backward: Backward,
    ) -> dict[str, torch.Tensor]:
        """Adds the gradient of one batch to ``.grad`` through ``backward`` and returns the log's scalars (on the
        device)."""
        with autocast():
            output = self.network.outputs(images)
            logits = self.classifier(output.embedding)
        total, log = identity_losses(output, logits, labels, self.losses)
        backward(total)
        return log
