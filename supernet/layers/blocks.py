"""The plain (not elastic) layers of an arch, as in the networks that are retrained, exported and shipped."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from reid.models.backbones.ibn import IBN
from supernet.layers.activations import RELU6, activation_layer
from supernet.layers.depthwise import DepthwiseConv2d
from supernet.layers.squeeze_excite import SqueezeExcite


class ConvBNAct(nn.Sequential):
    """Convolution without bias, BN and activation: the stem, the last convolution, 1x1 convolutions within blocks.

    Args:
        in_channels, out_channels: channels.
        kernel: side of the filter; padding keeps the size at stride 1.
        stride: 1 or 2.
        act: a name for ``supernet.layers.activations.activation_layer``.
        ibn: whether instance normalisation takes half of the channels from BN.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, act: str = RELU6, ibn: bool = False
    ) -> None:
        super().__init__(
            OrderedDict(
                conv=nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
                bn=IBN(out_channels) if ibn else nn.BatchNorm2d(out_channels),
                act=activation_layer(act),
            )
        )


class StemPool(nn.MaxPool2d):
    """The 3x3 max-pooling of stride 2 after the stem in OSNet and ResNets: ``(N, C, H, W)`` to half the sides, rounded
    up.

    Args:
        channels: of its input; unused, but every layer takes this argument.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(3, stride=2, padding=1)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand (1x1), depthwise (kxk), project (1x1, linear), residual where the shapes allow.

    Squeeze-and-excite stands between the depthwise activation and the projection, as in torchvision's MobileNetV3.

    Args:
        in_channels, out_channels: channels of the block's input and output.
        kernel: side of the depthwise filter.
        expand: hidden channels over input channels; at 1 the expansion convolution is left out.
        stride: 1 or 2, taken by the depthwise convolution.
        se: whether squeeze-and-excite gates the hidden channels.
        ibn: whether IBN-a (Pan et al. 2018) replaces the first BN, the expansion's, as in a ResNet's bottleneck. A
            block without expansion stays as it is.
        act: after expansion and depthwise convolution; one of ``supernet.layers.activations.ACTIVATIONS``.
    """

    gains_from_zero = True
    """See ``reid.models.residuals.ZeroInit``."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        expand: int,
        stride: int,
        se: bool = False,
        ibn: bool = False,
        act: str = RELU6,
    ) -> None:
        super().__init__()
        hidden = in_channels * expand
        self.residual = stride == 1 and in_channels == out_channels
        self.conv_pw = ConvBNAct(in_channels, hidden, 1, 1, act, ibn) if expand > 1 else nn.Identity()
        self.conv_dw = DepthwiseConv2d(hidden, kernel, stride)
        self.bn_dw = nn.BatchNorm2d(hidden)
        self.act = activation_layer(act)
        self.se = SqueezeExcite(hidden) if se else nn.Identity()
        self.conv_pwl = nn.Conv2d(hidden, out_channels, 1, bias=False)
        self.bn_pwl = nn.BatchNorm2d(out_channels)

    @property
    def residual_scale(self) -> nn.Parameter | None:
        """See ``reid.models.residuals``."""
        return self.bn_pwl.weight if self.residual else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, ceil(H / stride), ceil(W / stride))``."""
        y = self.se(self.act(self.bn_dw(self.conv_dw(self.conv_pw(x)))))
        y = self.bn_pwl(self.conv_pwl(y))
        return x + y if self.residual else y
