"""The weight-sharing supernet: one set of weights that any arch of a space runs on."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from reid.models.blank import without_drawing
from reid.models.heads import HeadOutput
from reid.models.network import ReidNetwork, head_outputs
from supernet.arch import Arch
from supernet.elastic_blocks import ElasticConvBNAct
from supernet.elastic_stages import ELASTIC_STAGES
from supernet.layers.blocks import StemPool
from supernet.layers.elastic import ElasticBatchNorm, ElasticLinear
from supernet.network import build_network
from supernet.sharing import PLAIN, Sharing
from supernet.space import Space
from supernet.space.genome import encode


class ElasticHead(nn.Module):
    """Elastic twin of ``BNNeckHead``: takes any leading part of the feature map's channels."""

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
        space: the space whose archs it holds.
        sharing: which weights the archs share.
    """

    def __init__(self, space: Space, sharing: Sharing = PLAIN) -> None:
        super().__init__()
        self.space, self.sharing = space, sharing
        self.stem = ElasticConvBNAct(3, space.stems[-1], space.stem_kernels[-1], 2)
        self.stem_pool = StemPool(space.stems[-1]) if space.stem_pool else nn.Identity()
        self.stages = nn.ModuleList()
        width = space.stems[-1]
        for stage in space.stages:
            self.stages.append(ELASTIC_STAGES[stage.kind](width, stage, sharing))
            width = stage.widths[-1]
        last = space.last_widths[-1]
        self.last = ElasticConvBNAct(width, last, 1, 1) if last else None
        # An arch without the last convolution pools the last stage itself, which may be the wider of the two.
        pooled = last if space.last_widths[0] else max(last, width)
        self.head = ElasticHead(pooled, space.embedding)
        self.feature_dim = space.embedding or pooled

    def outputs(self, images: torch.Tensor, arch: Arch) -> HeadOutput:
        """Both vectors of ``arch``'s head: ``(N, 3, H, W)`` to ``(N, D)`` twice. ``arch`` must be in the space.

        ``images`` are run at their own size: resizing them to ``arch.input_size`` is up to the caller.
        """
        x = self.stem_pool(self.stem(images, arch.stem, arch.stem_act, kernel=arch.stem_kernel))
        for elastic, stage in zip(self.stages, arch.stages, strict=True):
            x = elastic(x, stage)
        if arch.last_width:
            x = self.last(x, arch.last_width, arch.last_act)
        return head_outputs(self.head, x)

    def forward(self, images: torch.Tensor, arch: Arch) -> torch.Tensor:
        """The embedding of ``arch``: ``(N, 3, H, W)`` to ``(N, D)``; see ``outputs``."""
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
        device = self.head.neck.weight.device
        with without_drawing():  # all weights are copied below
            plain = build_network(arch)
        if plain.head.neck.weight.device != device:
            plain.to_empty(device=device)
        self.stem.copy_to(plain.backbone.stem)
        for elastic, stage in zip(self.stages, plain.backbone.stages, strict=True):
            elastic.copy_to(stage)
        if arch.last_width:
            self.last.copy_to(plain.backbone.last)
        self.head.copy_to(plain.head)
        for layer in plain.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.num_batches_tracked.zero_()  # the one buffer with no elastic twin
        return plain.train(self.training)
