"""Spectral feature transformation: every vector of a batch becomes a weighted mean of those like it."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from reid.precision import full_precision


@full_precision
def transition_matrix(features: torch.Tensor, temperature: float) -> torch.Tensor:
    """Row-stochastic ``(N, N)``: row i is the softmax of the cosines between i and all of the batch, itself included.

    Equations 1 and 2 of Luo et al. 2019, "Spectral Feature Transformation for Person Re-identification":
    ``exp(cos(x_i, x_j) / temperature)`` over its row sum. Float32 at least, under autocast too.

    Args:
        features: ``(N, D)``.
        temperature: positive.
    """
    unit = F.normalize(features)
    return torch.softmax(unit @ unit.T / temperature, dim=1)


@full_precision
def spectral_transform(vectors: torch.Tensor, features: torch.Tensor, temperature: float) -> torch.Tensor:
    """``T X``: ``vectors`` ``(N, D)`` mixed by the transition matrix of ``features`` ``(N, Df)``; float32 at least.

    The gradient flows through both. The rows of T sum to 1, so where ``vectors`` are a BN's output for ``features``,
    the result is what that BN would make of ``T features`` with the very same statistics.
    """
    return transition_matrix(features, temperature) @ vectors
