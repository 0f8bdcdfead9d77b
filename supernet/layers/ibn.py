"""Elastic twin of IBN-a (``reid.models.backbones.ibn.IBN``): instance normalisation beside BN at any width.

A plain network uses instance normalisation for the first half of its channels, BN for the rest. In a supernet these
halves would move with the width, and a channel would be trained for both. So at every width the supernet uses instance
normalisation for odd channels (counted from 0) and BN for even ones, and extraction sorts hidden channels odd first.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from reid.models.backbones.ibn import IBN
from supernet.layers.elastic import ElasticBatchNorm


class ElasticIBN(ElasticBatchNorm):
    """BN over any leading channels, or BN of the even ones and instance normalisation of the odd ones.

    Both share scales and shifts. Only the even channels' running statistics are used where IBN is on.
    """

    def forward(self, x: torch.Tensor, ibn: bool = False) -> torch.Tensor:
        """``(N, C, H, W)`` to the same shape; with ``ibn``, ``H * W`` must be more than 1."""
        if not ibn:
            return super().forward(x)
        y, channels = torch.empty_like(x), x.shape[1]
        y[:, ::2] = self.normalise(x[:, ::2], slice(0, channels, 2))
        odd = slice(1, channels, 2)
        y[:, 1::2] = F.instance_norm(x[:, 1::2], weight=self.weight[odd], bias=self.bias[odd], eps=self.eps)
        return y

    @torch.no_grad()
    def copy_to(self, plain: nn.BatchNorm2d | IBN) -> None:
        """Writes the leading parameters and statistics into ``plain``; an ``IBN`` gets the odd channels first."""
        if not isinstance(plain, IBN):
            return super().copy_to(plain)
        channels = plain.IN.num_features + plain.BN.num_features
        for name in ("weight", "bias"):
            getattr(plain.IN, name).copy_(getattr(self, name)[1:channels:2])
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(plain.BN, name).copy_(getattr(self, name)[:channels:2])


def odd_first(channels: int) -> list[int]:
    """The order of the supernet's channels in an extracted block with IBN: ``odd_first(5) == [1, 3, 0, 2, 4]``."""
    return [*range(1, channels, 2), *range(0, channels, 2)]
