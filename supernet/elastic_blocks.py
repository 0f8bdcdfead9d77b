"""Elastic twins of ``supernet.layers.blocks``, the parts of a supernet's stages."""

from __future__ import annotations

import torch
from torch import nn

from reid.models.backbones.ibn import IBN
from supernet.arch import Block, Stage
from supernet.layers.activations import activate
from supernet.layers.blocks import ConvBNAct, InvertedResidual
from supernet.layers.elastic import ElasticBatchNorm, ElasticConv2d
from supernet.layers.ibn import ElasticIBN, odd_first
from supernet.layers.kernel_transforms import KernelTransforms
from supernet.layers.squeeze_excite import ElasticSqueezeExcite
from supernet.sharing import PLAIN, Sharing
from supernet.space import StageSpace


class ElasticConvBNAct(nn.Module):
    """Elastic twin of ``ConvBNAct`` (fixed stride)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = ElasticConv2d(in_channels, out_channels, kernel)
        self.bn = ElasticIBN(out_channels)

    def forward(
        self, x: torch.Tensor, out_channels: int, act: str, ibn: bool = False, kernel: int | None = None
    ) -> torch.Tensor:
        """``(N, C, H, W)`` to ``(N, out_channels, ceil(H / stride), ceil(W / stride))``; ``None`` is the greatest
        kernel."""
        return activate(self.bn(self.conv(x, out_channels, kernel or self.conv.kernel, self.stride), ibn), act)

    def copy_to(self, plain: ConvBNAct) -> None:
        self.conv.copy_to(plain.conv)
        self.bn.copy_to(plain.bn)


class ElasticInvertedResidual(nn.Module):
    """Elastic twin of ``InvertedResidual``: input width from the tensor, the rest by argument.

    Args:
        in_channels, stage: the greatest input width and the choices of the block's stage.
        kernel_transforms: whether smaller kernels are trained maps of the largest one's centre, or that centre itself.
        first: whether the block can begin a stage, and so has a shortcut in some archs only, or in none.
    """

    gains_from_zero = True
    """See ``reid.models.residuals.ZeroInit``."""

    def __init__(
        self, in_channels: int, stage: StageSpace, kernel_transforms: bool = False, first: bool = True
    ) -> None:
        super().__init__()
        self.first = first
        hidden, out_channels = in_channels * stage.expands[-1], stage.widths[-1]
        # If expand = 1 is the only choice, the expansion can never be used, so there is none.
        self.conv_pw = ElasticConvBNAct(in_channels, hidden, 1, 1) if stage.expands[-1] > 1 else None
        transforms = KernelTransforms(stage.kernels) if kernel_transforms and len(stage.kernels) > 1 else None
        self.conv_dw = ElasticConv2d(hidden, hidden, stage.kernels[-1], depthwise=True, transforms=transforms)
        self.bn_dw = ElasticBatchNorm(hidden)
        self.se = ElasticSqueezeExcite(hidden) if stage.se[-1] else None
        self.conv_pwl = ElasticConv2d(hidden, out_channels, 1)
        self.bn_pwl = ElasticBatchNorm(out_channels)

    @property
    def residual_scale(self) -> nn.Parameter | None:
        """See ``reid.models.residuals``; none for a block that archs without its shortcut use too."""
        return None if self.first else self.bn_pwl.weight

    def forward(self, x: torch.Tensor, stage: Stage, block: Block, stride: int) -> torch.Tensor:
        """``(N, C, H, W)`` to ``(N, stage.width, ceil(H / stride), ceil(W / stride))``; ``block`` is one of
        ``stage``'s."""
        hidden = x.shape[1] * block.expand
        y = self.conv_pw(x, hidden, stage.act, stage.ibn) if block.expand > 1 else x
        y = activate(self.bn_dw(self.conv_dw(y, hidden, block.kernel, stride)), stage.act)
        y = self.se(y) if stage.se else y
        y = self.bn_pwl(self.conv_pwl(y, stage.width, 1))
        return x + y if stride == 1 and x.shape[1] == stage.width else y

    def copy_to(self, plain: InvertedResidual) -> None:
        for name in ("conv_pw", "conv_dw", "bn_dw", "se", "conv_pwl", "bn_pwl"):
            layer = getattr(plain, name)
            if not isinstance(layer, nn.Identity):
                getattr(self, name).copy_to(layer)
        if isinstance(plain.conv_pw, ConvBNAct) and isinstance(plain.conv_pw.bn, IBN):
            _sort_hidden(plain, odd_first(plain.conv_dw.in_channels))


class ElasticInvertedStage(nn.ModuleList):
    """Elastic stage of inverted residual blocks; see ``supernet.elastic_stages``."""

    def __init__(self, in_channels: int, stage: StageSpace, sharing: Sharing = PLAIN) -> None:
        first = sharing.first_blocks(stage.depths)
        super().__init__(
            ElasticInvertedResidual(
                in_channels if number in first else stage.widths[-1],
                stage,
                sharing.kernel_transforms,
                number in first,
            )
            for number in range(sharing.held(stage.depths))
        )
        self.depths, self.sharing = stage.depths, sharing

    def forward(self, x: torch.Tensor, stage: Stage) -> torch.Tensor:
        numbers = self.sharing.blocks(self.depths, len(stage.blocks))
        for number, (block, stride) in zip(numbers, stage.strided_blocks(), strict=True):
            x = self[number](x, stage, block, stride)
        return x

    def copy_to(self, plain: nn.Sequential) -> None:
        for number, block in zip(self.sharing.blocks(self.depths, len(plain)), plain, strict=True):
            self[number].copy_to(block)


@torch.no_grad()
def _sort_hidden(block: InvertedResidual, order: list[int]) -> None:
    """Reorders the hidden channels of ``block``, which leaves its output unchanged.

    The expansion's normalisation is left alone: ``ElasticIBN.copy_to`` has sorted its channels.
    """
    by_output = [block.conv_pw.conv.weight, block.conv_dw.weight]
    by_output += [getattr(block.bn_dw, name) for name in ("weight", "bias", "running_mean", "running_var")]
    by_input = [block.conv_pwl.weight]
    if not isinstance(block.se, nn.Identity):
        by_output += [block.se.fc2.weight, block.se.fc2.bias]
        by_input += [block.se.fc1.weight]
    for weight in by_output:
        weight.copy_(weight[order])
    for weight in by_input:
        weight.copy_(weight[:, order])
