"""``build_network(arch)``: the stand-alone network of an arch, with no elastic code in it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from reid.models.heads import DEFAULT_HEAD, HeadConfig, build_head
from reid.models.network import ReidNetwork
from supernet.arch import Arch
from supernet.layer_kinds import LAYERS
from supernet.layers.blocks import ConvBNAct, StemPool


class ArchBackbone(nn.Module):
    """Stem, stages and last convolution of an arch: images to a feature map of ``feature_width`` channels."""

    def __init__(self, arch: Arch) -> None:
        super().__init__()
        self.feature_width = arch.feature_width
        self.stem = ConvBNAct(3, arch.stem, arch.stem_kernel, 2, arch.stem_act)
        self.stem_pool = StemPool(arch.stem) if arch.stem_pool else nn.Identity()
        self.stages = nn.ModuleList()
        width = arch.stem
        for stage, size in zip(arch.stages, arch.stage_sizes(), strict=True):
            layers = stage.layers(width, *size)
            self.stages.append(nn.Sequential(*(LAYERS[kind](*args, act=stage.act) for kind, _, _, *args in layers)))
            width = stage.width
        self.last = ConvBNAct(width, arch.last_width, 1, 1, arch.last_act) if arch.last_width else nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``(N, 3, H, W)`` to ``(N, feature_width, h, w)``."""
        x = self.stem_pool(self.stem(images))
        for blocks in self.stages:
            x = blocks(x)
        return self.last(x)


def build_network(arch: Arch, head: HeadConfig = DEFAULT_HEAD) -> ReidNetwork:
    """The network of ``arch`` with fresh weights from torch's global generator: ``(N, 3, H, W)`` to ``(N, D)``.

    If ``head`` sets no embedding, the arch's own is used.
    """
    backbone = ArchBackbone(arch)
    initialise(backbone)
    head = replace(head, embedding=head.embedding or arch.embedding)
    return ReidNetwork(backbone, build_head(head, arch.feature_width))


def initialise(module: nn.Module) -> None:
    """Initialises as torchvision does MobileNetV2 and V3: Kaiming normal (fan out) for convolutions, their biases at 0,
    BN and instance normalisation at 1 and 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
