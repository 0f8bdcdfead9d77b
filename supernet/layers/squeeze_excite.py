"""Squeeze-and-excite (Hu et al. 2018) as in MobileNetV3, plain and elastic: a gate for each hidden channel."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from supernet.layers.elastic import ElasticConv2d


def squeeze_width(channels: int) -> int:
    """Channels between the two convolutions: a quarter of ``channels``, rounded to a multiple of 8.

    At least 8, and never more than a tenth below the quarter: ``_make_divisible`` of the MobileNet authors' code, which
    torchvision's MobileNetV3 follows too. It never decreases as ``channels`` grow.
    """
    quarter = channels // 4
    rounded = max(8, (quarter + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * quarter else rounded


class SqueezeExcite(nn.Module):
    """Multiplies each channel by a gate in 0..1, from the means of all channels: 1x1, ReLU, 1x1, hard sigmoid.

    Args:
        channels: channels ``C`` of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeeze_width(channels), 1)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(squeeze_width(channels), channels, 1)
        self.gate = nn.Hardsigmoid(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to the same shape."""
        return x * self.gate(self.fc2(self.act(self.fc1(self.pool(x)))))


class ElasticSqueezeExcite(nn.Module):
    """Elastic twin of ``SqueezeExcite``: leading channels of both convolutions.

    Args:
        channels: the greatest number of channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = ElasticConv2d(channels, squeeze_width(channels), 1, bias=True)
        self.fc2 = ElasticConv2d(squeeze_width(channels), channels, 1, bias=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to the same shape."""
        channels = x.shape[1]
        squeezed = F.relu(self.fc1(F.adaptive_avg_pool2d(x, 1), squeeze_width(channels), 1), inplace=True)
        return x * F.hardsigmoid(self.fc2(squeezed, channels, 1), inplace=True)

    def copy_to(self, plain: SqueezeExcite) -> None:
        self.fc1.copy_to(plain.fc1)
        self.fc2.copy_to(plain.fc2)
