"""Parts of OSNet (Zhou et al. 2019, "Omni-Scale Feature Learning for Person Re-Identification").

Layers are called as in the authors' torchreid, so that the weights published there load by name.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from reid.models.backbones.ibn import AffineInstanceNorm

InstanceNorm = Literal["none", "behind", "inside"]
"""Where a block has instance normalisation: nowhere, after the residual sum, or on the residual branch in place of its
last BN."""


class ConvBN(nn.Sequential):
    """``kernel x kernel`` convolution without bias and BN; padding keeps the size at stride 1.

    Args:
        in_channels, out_channels: channels.
        kernel: side of the filter (odd).
        stride: 1 or 2.
        relu: whether a ReLU follows.
        norm: ``instance`` normalisation in place of BN, still called ``bn`` as in torchreid; or ``none``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        relu: bool = True,
        norm: Literal["batch", "instance", "none"] = "batch",
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv=nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        )
        if norm != "none":
            instance = norm == "instance"
            layers["bn"] = AffineInstanceNorm(out_channels) if instance else nn.BatchNorm2d(out_channels)
        if relu:
            layers["relu"] = nn.ReLU(inplace=True)
        super().__init__(layers)


class LightConv3x3(nn.Sequential):
    """OSNet's factorised convolution: 1x1 (linear), then depthwise 3x3, BN and ReLU; channels and size stay.

    Args:
        channels: channels of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(channels, channels, 1, bias=False),
                conv2=nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
                bn=nn.BatchNorm2d(channels),
                relu=nn.ReLU(inplace=True),
            )
        )


def gate_units(channels: int) -> int:
    """Hidden units of the gate of ``channels`` channels: a sixteenth, and at least one."""
    return max(1, channels // 16)


class ChannelGate(nn.Module):
    """The aggregation gate: a weight in 0..1 for each channel, from the channels' means.

    Args:
        channels: channels ``C``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, gate_units(channels), 1)
        self.fc2 = nn.Conv2d(gate_units(channels), channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, C, h, w)``, each channel weighted."""
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(self.pool(x)))))


class OSBlock(nn.Module):
    """A residual bottleneck of four streams of 1 to 4 light convolutions: receptive fields of 3, 5, 7 and 9 pixels.

    One gate, shared by the streams, weights what each of them gives before they are summed.

    Args:
        in_channels, out_channels: channels; the bottleneck has a quarter of ``out_channels``.
        instance: where it has instance normalisation (OSNet-IBN, OSNet-AIN).
    """

    def __init__(self, in_channels: int, out_channels: int, instance: InstanceNorm = "none") -> None:
        super().__init__()
        hidden = out_channels // 4
        self.conv1 = ConvBN(in_channels, hidden)
        self.conv2a = LightConv3x3(hidden)
        self.conv2b = _light_convs(hidden, 2)
        self.conv2c = _light_convs(hidden, 3)
        self.conv2d = _light_convs(hidden, 4)
        self.gate = ChannelGate(hidden)
        self.inside = instance == "inside"
        self.conv3 = ConvBN(hidden, out_channels, relu=False, norm="none" if self.inside else "batch")
        same = in_channels == out_channels
        self.downsample = nn.Identity() if same else ConvBN(in_channels, out_channels, relu=False)
        self.IN = nn.Identity() if instance == "none" else AffineInstanceNorm(out_channels)

    @property
    def residual_scale(self) -> nn.Parameter:
        """See ``reid.models.residuals``."""
        return self.IN.weight if self.inside else self.conv3.bn.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, in_channels, h, w)`` to ``(N, out_channels, h, w)``."""
        y = self.conv1(x)
        gated = (self.gate(stream(y)) for stream in (self.conv2a, self.conv2b, self.conv2c, self.conv2d))
        branch, shortcut = self.conv3(functools.reduce(torch.add, gated)), self.downsample(x)
        return F.relu(self.IN(branch) + shortcut if self.inside else self.IN(branch + shortcut))


def _light_convs(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(LightConv3x3(channels) for _ in range(count)))
