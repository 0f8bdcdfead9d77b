"""Batch-hard triplet loss (Hermans et al. 2017, "In defense of the triplet loss")."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional as F


class TripletResult(NamedTuple):
    """The loss (scalar, with gradient) and two signs of convergence (scalars without).

    Attributes:
        loss: mean over the anchors.
        active: fraction of the anchors whose hardest triplet violates the margin (with a soft margin: whose positive is
            farther than their negative).
        gap: mean of hardest-negative minus hardest-positive distance; grows as identities come apart.
    """

    loss: torch.Tensor
    active: torch.Tensor
    gap: torch.Tensor


def pairwise_euclidean(features: torch.Tensor) -> torch.Tensor:
    """``(N, D)`` to ``(N, N)`` Euclidean distances; gradients stay finite at distance zero."""
    features = features.float()
    squares = features.square().sum(1)
    squared = squares[:, None] + squares[None, :] - 2.0 * features @ features.T
    return squared.clamp_min(1e-12).sqrt()


def batch_hard_triplet(features: torch.Tensor, labels: torch.Tensor, margin: float | None) -> TripletResult:
    """For each anchor its farthest positive against its nearest negative.

    Args:
        features: ``(N, D)``; every identity in the batch should have at least two images and there must be two
            identities.
        labels: ``(N,) int64``.
        margin: the hinge ``max(0, d_pos - d_neg + margin)``, or ``None`` for the soft margin ``log(1 + exp(d_pos -
            d_neg))``.
    """
    distances = pairwise_euclidean(features)
    same = labels[:, None] == labels[None, :]
    positive = distances.masked_fill(~same, float("-inf")).amax(1)
    negative = distances.masked_fill(same, float("inf")).amin(1)
    difference = positive - negative
    per_anchor = F.softplus(difference) if margin is None else F.relu(difference + margin)
    active = (difference > -(margin or 0.0)).float().mean()
    return TripletResult(per_anchor.mean(), active, -difference.detach().mean())
