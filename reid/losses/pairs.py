"""Shared parts of the losses over pairs of a batch: who pairs with whom, distances, and means over a mask."""

from __future__ import annotations

import torch


def pair_masks(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``(N,) int64`` labels to two ``(N, N) bool``: positives (same identity, another image) and negatives."""
    same = labels[:, None] == labels[None, :]
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return same & ~itself, ~same


def pairwise_euclidean(features: torch.Tensor, others: torch.Tensor | None = None) -> torch.Tensor:
    """``(N, D)`` and ``(M, D)`` (by default the first again) to ``(N, M)`` Euclidean distances.

    Distances below 1e-6 become 1e-6 and give no gradient, which would be infinite where two features are the same.
    """
    others = features if others is None else others
    products = features @ others.T
    squared = features.square().sum(1)[:, None] + others.square().sum(1)[None, :] - 2.0 * products
    return squared.clamp_min(1e-12).sqrt()


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of the values where the mask is true; 0 if it is true nowhere. Values left out may be infinite."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp_min(1)
