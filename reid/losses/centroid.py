"""Centroid triplet loss (Wieczorek et al. 2021, "On the unreasonable effectiveness of centroids in image
retrieval")."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from reid.losses.pairs import masked_mean, pair_masks, pairwise_euclidean
from reid.precision import full_precision


@full_precision
def centroid_triplet_loss(features: torch.Tensor, labels: torch.Tensor, margin: float) -> torch.Tensor:
    """Mean over the images of ``max(0, d(image, own centroid) - d(image, nearest other centroid) + margin)``.

    The own centroid is the mean of the identity's *other* images, so that an image is not pulled to itself; the other
    identities' centroids are of all their images. Images that lack either centroid are left out; with none left the
    loss is zero. Gradients flow into the centroids too.

    The paper (eq. 3) squares the distances, its code does not; we follow the code. The code compares the k-th image of
    every identity with centroids that all lack the k-th image, and also uses centroids as anchors and images as
    negatives; here, as in the paper's formula, images are anchors and the rest centroids.

    Args:
        features: ``(N, D)`` float.
        labels: ``(N,) int64``.
    """
    positives, negatives = pair_masks(labels)
    own = _means(features, positives)
    # Row j is the centroid of image j's identity: repeated for each of its images, but computed without a sync.
    centroids = _means(features, ~negatives)
    # The difference's own norm would have an infinite gradient at zero.
    to_own = (features - own).square().sum(1).clamp_min(1e-12).sqrt()
    to_others = pairwise_euclidean(features, centroids).masked_fill(~negatives, float("inf")).amin(1)
    return masked_mean(F.relu(to_own - to_others + margin), positives.any(1) & negatives.any(1))


def _means(features: torch.Tensor, members: torch.Tensor) -> torch.Tensor:
    """Mean ``(N, D)`` of the features that each row of ``members (N, N) bool`` selects; zeros if it selects none."""
    weights = members.to(features.dtype)
    return weights @ features / weights.sum(1, keepdim=True).clamp_min(1.0)
