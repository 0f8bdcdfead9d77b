"""Signs of a training's health, computed from a batch of features."""

from __future__ import annotations

import torch
from torch.nn import functional as F


@torch.no_grad()
def embedding_signs(features: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """The signs as scalars on the features' device, without gradient and without waiting for the device.

    - ``embedding_spread``: standard deviation of the L2-normalised features per dimension, averaged over dimensions,
      times ``sqrt(D)``: 1 if they point in all directions equally, 0 if they are one vector.
    - ``feature_norm``: mean L2 norm before normalisation.
    - ``identity_variance``: share of the features' variance (not normalised, summed over dimensions) that lies between
      the identities' means, the eta squared of an analysis of variance. It is independent of the features' scale and of
      a vector common to all. Expected are ``(P - 1) / (P K - 1)`` for features without identity information, 1 if each
      identity is a point, and 0 if all features are the same.

    Args:
        features: ``(N, D)`` float.
        labels: ``(N,) int64``, numbered in any way.
    """
    features = features.float()
    unit = F.normalize(features, dim=1)
    same = (labels[:, None] == labels[None, :]).float()
    means = same @ features / same.sum(1, keepdim=True)
    center = features.mean(0)
    total = (features - center).square().sum()
    between = (means - center).square().sum()
    return {
        "embedding_spread": unit.std(0, correction=0).mean() * features.shape[1] ** 0.5,
        "feature_norm": features.norm(dim=1).mean(),
        "identity_variance": between / total.clamp_min(torch.finfo(torch.float32).tiny),
    }
