"""Feature mask: gates on an embedding, computed from the pooled map."""

from __future__ import annotations

import torch
from torch import nn


class FeatureMask(nn.Module):
    """``sigmoid(BN(W x))``: one factor in 0 .. 1 for each element of an embedding (pytorch-reid-lite's feature mask).

    Like squeeze-and-excitation, but on the embedding and without a bottleneck. It works in inference too and costs
    ``in_channels * dim`` multiply-adds there.

    Args:
        in_channels: length ``C`` of the pooled map.
        dim: length of the embedding that is gated.
    """

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(in_channels, dim, bias=False)
        self.bn = nn.BatchNorm1d(dim)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """``(N, C)`` to gates ``(N, dim)``."""
        return torch.sigmoid(self.bn(self.fc(pooled)))
