"""The weight-sharing supernet: one set of weights that any arch of a space runs on."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from reid.models.heads import HeadOutput
from reid.models.network import ReidNetwork
from supernet.arch import Arch, Block
from supernet.blocks import ConvBNAct, InvertedResidual
from supernet.elastic import ElasticBatchNorm, ElasticConv2d, ElasticLinear
from supernet.network import build_network
from supernet.space import Space, StageSpace, encode


class ElasticConvBNAct(nn.Module):
    """Elastic twin of ``ConvBNAct`` (fixed kernel)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = ElasticConv2d(in_channels, out_channels, kernel, stride)
        self.bn = ElasticBatchNorm(out_channels)

    def forward(self, x: torch.Tensor, out_channels: int) -> torch.Tensor:
        """``(N, C, H, W)`` to ``(N, out_channels, H / stride, W / stride)``."""
        return F.relu6(self.bn(self.conv(x, out_channels, self.conv.kernel)), inplace=True)

    def copy_to(self, plain: ConvBNAct) -> None:
        self.conv.copy_to(plain.conv)
        self.bn.copy_to(plain.bn)


class ElasticInvertedResidual(nn.Module):
    """Elastic twin of ``InvertedResidual``: input width from the tensor, the rest by argument.

    Args:
        in_channels, stage: the greatest input width and the choices of the stage that the block stands in.
        stride: 1 or 2.
    """

    def __init__(self, in_channels: int, stage: StageSpace, stride: int) -> None:
        super().__init__()
        hidden, out_channels = in_channels * stage.expands[-1], stage.widths[-1]
        self.stride = stride
        # Where every choice is expand = 1 the expansion can never be used, and so is not held.
        self.conv_pw = ElasticConvBNAct(in_channels, hidden, 1, 1) if stage.expands[-1] > 1 else None
        self.conv_dw = ElasticConv2d(hidden, hidden, stage.kernels[-1], stride, depthwise=True)
        self.bn_dw = ElasticBatchNorm(hidden)
        self.conv_pwl = ElasticConv2d(hidden, out_channels, 1)
        self.bn_pwl = ElasticBatchNorm(out_channels)

    def forward(self, x: torch.Tensor, out_channels: int, block: Block) -> torch.Tensor:
        """``(N, C, H, W)`` to ``(N, out_channels, H / stride, W / stride)``."""
        hidden = x.shape[1] * block.expand
        y = self.conv_pw(x, hidden) if block.expand > 1 else x
        y = F.relu6(self.bn_dw(self.conv_dw(y, hidden, block.kernel)), inplace=True)
        y = self.bn_pwl(self.conv_pwl(y, out_channels, 1))
        return x + y if self.stride == 1 and x.shape[1] == out_channels else y

    def copy_to(self, plain: InvertedResidual) -> None:
        if isinstance(plain.conv_pw, ConvBNAct):
            self.conv_pw.copy_to(plain.conv_pw)
        for name in ("conv_dw", "bn_dw", "conv_pwl", "bn_pwl"):
            getattr(self, name).copy_to(getattr(plain, name))


class ElasticHead(nn.Module):
    """Elastic twin of ``BNNeckHead``: any leading part of the feature map's channels."""

    def __init__(self, in_channels: int, embedding: int | None) -> None:
        super().__init__()
        self.embed = ElasticLinear(in_channels, embedding) if embedding else None
        self.neck = ElasticBatchNorm(embedding or in_channels, shift=False)

    def forward(self, feature_map: torch.Tensor) -> HeadOutput:
        """``(N, C, h, w)`` to two ``(N, D)`` vectors."""
        feature = torch.flatten(F.adaptive_avg_pool2d(feature_map, 1), 1)
        feature = self.embed(feature) if self.embed is not None else feature
        return HeadOutput(feature, self.neck(feature))

    def copy_to(self, plain: nn.Module) -> None:
        if self.embed is not None:
            self.embed.copy_to(plain.embed)
        self.neck.copy_to(plain.neck)


class Supernet(nn.Module):
    """Weights for every arch of a space. The arch is an argument of each call and never kept.

    Args:
        space: what archs it must hold.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space
        self.stem = ElasticConvBNAct(3, space.stems[-1], 3, 2)
        self.stages = nn.ModuleList()
        width = space.stems[-1]
        for stage in space.stages:
            blocks = nn.ModuleList()
            for position in range(stage.depths[-1]):
                blocks.append(ElasticInvertedResidual(width, stage, stage.stride if position == 0 else 1))
                width = stage.widths[-1]
            self.stages.append(blocks)
        last = space.last_widths[-1]
        self.last = ElasticConvBNAct(width, last, 1, 1) if last else None
        # An arch without the last convolution pools the last stage itself, which may be the wider of the two.
        pooled = last if space.last_widths[0] else max(last, width)
        self.head = ElasticHead(pooled, space.embedding)
        self.feature_dim = space.embedding or pooled

    def outputs(self, images: torch.Tensor, arch: Arch) -> HeadOutput:
        """Both vectors of ``arch``'s head: ``(N, 3, H, W)`` to ``(N, D)`` twice. ``arch`` must be of the space."""
        x = self.stem(images, arch.stem)
        for blocks, stage in zip(self.stages, arch.stages, strict=True):
            for elastic, block in zip(blocks, stage.blocks, strict=False):  # a shallow stage leaves the last ones out
                x = elastic(x, stage.width, block)
        if arch.last_width:
            x = self.last(x, arch.last_width)
        return self.head(x)

    def forward(self, images: torch.Tensor, arch: Arch) -> torch.Tensor:
        """The embedding of ``arch``: ``(N, 3, H, W)`` to ``(N, D)``."""
        return self.outputs(images, arch).embedding

    @torch.no_grad()
    def extract(self, arch: Arch) -> ReidNetwork:
        """The stand-alone network of ``arch`` with this supernet's weights, on this supernet's device.

        It gives the same output as ``self(images, arch)`` in the same mode. Calibrate its BN before using it in eval
        mode.

        Raises:
            UserError: the arch is not in the space.
        """
        encode(self.space, arch)
        with torch.device("meta"):  # no initial weights are drawn: all of them are copied below
            plain = build_network(arch)
        plain.to_empty(device=self.head.neck.weight.device)
        self.stem.copy_to(plain.backbone.stem)
        for elastic_blocks, plain_blocks in zip(self.stages, plain.backbone.stages, strict=True):
            for elastic, block in zip(elastic_blocks, plain_blocks, strict=False):
                elastic.copy_to(block)
        if arch.last_width:
            self.last.copy_to(plain.backbone.last)
        self.head.copy_to(plain.head)
        for layer in plain.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.num_batches_tracked.zero_()  # the one buffer with no elastic twin
        return plain.train(self.training)
