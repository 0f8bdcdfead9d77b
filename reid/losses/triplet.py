"""The triplet loss, with four ways to choose its triplets from a batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional as F

from reid.losses.config import TripletConfig
from reid.losses.pairs import masked_mean, pair_masks, pairwise_euclidean
from reid.losses.selection import random_negatives, semi_hard_negatives
from reid.precision import full_precision


class TripletResult(NamedTuple):
    """The loss and, whatever the selection, the same signs of convergence; all are scalars.

    An anchor counts if the batch has another image of its identity and an image of another identity. If no anchor
    counts, all are zero.

    Attributes:
        loss: mean over the triplets, with gradient.
        active: share of the anchors (batch hard, weighted) or of the anchor-positive pairs whose triplet violates the
            margin; with a soft margin, whose positive is farther than their negative.
        positive, negative: mean over the anchors of the distance to their farthest positive and nearest negative.
    """

    loss: torch.Tensor
    active: torch.Tensor
    positive: torch.Tensor
    negative: torch.Tensor

    @property
    def gap(self) -> torch.Tensor:
        """Mean hardest-negative minus hardest-positive distance; grows as identities come apart."""
        return self.negative - self.positive


@full_precision
def triplet_loss(
    features: torch.Tensor, labels: torch.Tensor, config: TripletConfig, generator: torch.Generator | None = None
) -> TripletResult:
    """Mean of ``max(0, d_pos - d_neg + margin)`` over the triplets selected, or of ``log(1 + exp(d_pos - d_neg))``
    where ``config.margin`` is ``None`` (soft margin); ``d`` is Euclidean.

    - ``batch_hard``: one triplet per anchor, its farthest positive and its nearest negative (Hermans et al. 2017).
    - ``weighted``: one triplet per anchor, of the mean distance to all positives, weighted by the softmax of these
      distances, and to all negatives, by the softmin of theirs: the hardest weigh most and none counts alone (Ristani
      and Tomasi 2018, "Features for multi-target multi-camera tracking and re-identification"). fast-reid (without
      ``HARD_MINING``) and pytorch-reid-lite count the anchor itself, at distance 0, as a positive; here it is not one.
    - ``semi_hard``: one triplet per anchor-positive pair (both orders), with the negative of ``semi_hard_negatives``.
    - ``random_negative``: one triplet per anchor-positive pair (both orders) for which a negative gives a loss above
      zero, with the negative of ``random_negatives``.

    Args:
        features: ``(N, D)`` float.
        labels: ``(N,) int64``, numbered in any way.
        generator: on the CPU, for ``random_negative`` alone; its state and the tensors fix the outcome.
    """
    if config.normalize:
        features = F.normalize(features, dim=1)
    if config.selection == "batch_hard":
        return batch_hard_triplet(features, labels, config.margin)
    if config.selection == "weighted":
        return _weighted_triplet(features, labels, config.margin)
    return _pair_triplet(features, labels, config, generator)


@full_precision
def batch_hard_triplet(features: torch.Tensor, labels: torch.Tensor, margin: float | None) -> TripletResult:
    """``triplet_loss`` of selection ``batch_hard`` (Hermans et al. 2017, "In defense of the triplet loss")."""
    positives, negatives = pair_masks(labels)
    farthest, nearest, complete = _hardest(pairwise_euclidean(features), positives, negatives)
    return _result(farthest - nearest, complete, complete, margin, (farthest, nearest, complete))


def _weighted_triplet(features, labels, margin: float | None) -> TripletResult:
    positives, negatives = pair_masks(labels)
    distances = pairwise_euclidean(features)
    difference = _softmax_mean(distances, distances, positives) - _softmax_mean(distances, -distances, negatives)
    hardest = _hardest(distances.detach(), positives, negatives)
    return _result(difference, hardest[2], hardest[2], margin, hardest)


def _softmax_mean(distances: torch.Tensor, logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """``(N,)`` means of each row's distances in ``mask``, weighted by the softmax of its logits; 0 without any."""
    # Filled with a number, not with infinity: the gradient of a softmax over nothing would be NaN.
    weights = torch.softmax(logits.masked_fill(~mask, -1e9), dim=1) * mask
    return (weights * distances).sum(1)


def _pair_triplet(features, labels, config: TripletConfig, generator) -> TripletResult:
    positives, negatives = pair_masks(labels)
    distances = pairwise_euclidean(features)
    if config.selection == "semi_hard":
        selected = semi_hard_negatives(distances, negatives)
    elif generator is None:
        raise ValueError("selection 'random_negative' needs a generator")
    else:
        selected = random_negatives(distances, negatives, config.margin, generator)
    pairs = positives & negatives.any(1, keepdim=True)
    difference = distances - distances.gather(1, selected.index)
    hardest = _hardest(distances.detach(), positives, negatives)
    return _result(difference, pairs & selected.found, pairs, config.margin, hardest)


def _hardest(distances, positives, negatives) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``(N,)`` farthest positive and nearest negative distance, and which anchors have both."""
    farthest = distances.masked_fill(~positives, float("-inf")).amax(1)
    nearest = distances.masked_fill(~negatives, float("inf")).amin(1)
    return farthest, nearest, positives.any(1) & negatives.any(1)


def _result(difference, counted, eligible, margin: float | None, hardest) -> TripletResult:
    """The mean loss of the ``counted`` triplets, and the share of the ``eligible`` that count and violate."""
    difference = torch.where(counted, difference, float("-inf"))
    each = F.softplus(difference) if margin is None else F.relu(difference + margin)
    violates = (difference > -(margin or 0.0)).to(difference.dtype)
    farthest, nearest, complete = hardest
    return TripletResult(
        loss=masked_mean(each, counted),
        active=masked_mean(violates, eligible),
        positive=masked_mean(farthest.detach(), complete),
        negative=masked_mean(nearest.detach(), complete),
    )
