"""The plain layers of omni-scale stages."""

from __future__ import annotations

import functools
from collections import OrderedDict

import torch
from torch import nn

from reid.models.backbones.osnet_blocks import ChannelGate
from supernet.layers.activations import LINEAR, RELU, activate, activation_layer
from supernet.layers.blocks import ConvBNAct
from supernet.layers.depthwise import DepthwiseConv2d


class LightConv(nn.Sequential):
    """OSNet's factorised convolution: 1x1 (linear), depthwise, BN, activation; channels and size stay.

    Args:
        channels: channels of input and output.
        kernel: side of the depthwise filter.
        act: a name for ``supernet.layers.activations.activation_layer``.
    """

    def __init__(self, channels: int, kernel: int, act: str = RELU) -> None:
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(channels, channels, 1, bias=False),
                conv2=DepthwiseConv2d(channels, kernel, 1),
                bn=nn.BatchNorm2d(channels),
                act=activation_layer(act),
            )
        )


class OmniScale(nn.Module):
    """OSNet's block with any number of streams: with 4, a kernel of 3 and a quarter of the width in its streams it is
    ``reid.models.backbones.osnet_blocks.OSBlock``.

    The n-th stream is n light convolutions in a row. One gate, shared by the streams, weights their outputs before
    they are summed.

    Args:
        in_channels, out_channels: channels of the block's input and output.
        hidden: channels of the streams.
        streams: how many.
        kernel: side of the light convolutions' depthwise filters.
        project: whether the shortcut is a 1x1 convolution; it must be one where the channels differ.
        act: a name for ``supernet.layers.activations.activation_layer``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden: int,
        streams: int,
        kernel: int,
        project: bool,
        act: str = RELU,
    ) -> None:
        super().__init__()
        self.act = act
        self.conv1 = ConvBNAct(in_channels, hidden, 1, 1, act)
        self.streams = nn.ModuleList(
            nn.Sequential(*(LightConv(hidden, kernel, act) for _ in range(count))) for count in range(1, streams + 1)
        )
        self.gate = ChannelGate(hidden)
        self.conv3 = ConvBNAct(hidden, out_channels, 1, 1, LINEAR)
        self.downsample = ConvBNAct(in_channels, out_channels, 1, 1, LINEAR) if project else nn.Identity()

    @property
    def residual_scale(self) -> nn.Parameter:
        """See ``reid.models.residuals``."""
        return self.conv3.bn.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        y = self.conv1(x)
        gated = (self.gate(stream(y)) for stream in self.streams)
        return activate(self.conv3(functools.reduce(torch.add, gated)) + self.downsample(x), self.act)


class Transition(nn.Sequential):
    """The end of an omni-scale stage: a 1x1 convolution with BN and activation, 2x2 average pooling, both or neither.

    Args:
        channels: of input and output.
        convolution: whether it has the convolution.
        stride: 2 for the pooling, else 1.
        act: a name for ``supernet.layers.activations.activation_layer``.
    """

    def __init__(self, channels: int, convolution: bool, stride: int, act: str = RELU) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if convolution:
            layers["conv"] = ConvBNAct(channels, channels, 1, 1, act)
        layers["pool"] = nn.AvgPool2d(2) if stride == 2 else nn.Identity()
        super().__init__(layers)
