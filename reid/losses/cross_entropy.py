"""Identity classification with label smoothing."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def smoothed_cross_entropy(logits: torch.Tensor, labels: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Mean cross-entropy against ``(1 - s) * one_hot + s / C`` (Szegedy et al. 2016, as torch and the bag of tricks
    have it).

    The other definition in use spreads ``s`` over the ``C - 1`` wrong classes only; with many identities the two are
    close.

    Args:
        logits: ``(N, C) float``.
        labels: ``(N,) int64`` in ``0..C-1``.
        smoothing: ``s`` in ``[0, 1)``; 0 is plain cross-entropy.
    """
    return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
