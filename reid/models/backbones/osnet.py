"""OSNet (Zhou et al. 2019) up to its last feature map, at the four widths that are published and one for 210M FLOPs,
OSNet-IBN and OSNet-AIN."""

from __future__ import annotations

import torch
from torch import nn

from reid.errors import UserError
from reid.models.backbones.osnet_blocks import ConvBN, InstanceNorm, OSBlock

OSNET_CHANNELS = {
    "osnet_x0_25": (16, 64, 96, 128),
    "osnet_x0_42": (28, 108, 160, 216),
    "osnet_x0_5": (32, 128, 192, 256),
    "osnet_x0_75": (48, 192, 288, 384),
    "osnet_x1_0": (64, 256, 384, 512),
    "osnet_ibn_x1_0": (64, 256, 384, 512),
    "osnet_ain_x1_0": (64, 256, 384, 512),
}
"""Channels of the stem and of the three stages. ``osnet_x0_42`` is ours: the widest of at most 210M FLOPs (fvcore's
total, 256x128) with multiples of 4, so that OSNet can be compared with networks of that limit. OSNet x0.5, 273M in the
papers, has 281.6M by that count, which includes BN and pooling."""

INSTANCE_NORM: dict[str, tuple[tuple[InstanceNorm, InstanceNorm], ...]] = {
    "osnet_ibn_x1_0": (("behind", "behind"), ("none", "none"), ("none", "none")),
    "osnet_ain_x1_0": (("inside", "inside"), ("none", "inside"), ("inside", "none")),
}
"""Where the two blocks of each stage have instance normalisation. These networks also have it in the stem, in place of
BN, and are made to generalise to unseen data sets: OSNet-IBN (Zhou et al. 2019), and OSNet-AIN, whose places were
found by a search (Zhou et al. 2021, "Learning Generalisable Omni-Scale Representations for Person
Re-Identification")."""

_NOWHERE: tuple[tuple[InstanceNorm, InstanceNorm], ...] = (("none", "none"),) * 3

UNPUBLISHED = ("osnet_x0_42",)
"""Widths for which there are no published ImageNet weights."""


class OSNet(nn.Module):
    """Stem, three stages of two ``OSBlock`` each, and a 1x1 convolution; the map has 1/16 of the image's sides.

    Keys of the weights are those of torchreid; for OSNet-AIN those of its other OSNets (``matching.osnet_name``).
    torchreid's ``fc`` (a linear layer to 512 outputs, BN and ReLU after pooling) belongs to the head here:
    ``{embedding: 512, neck: bn, relu: true}``. From torchreid's files a backbone loads its own layers and leaves out
    ``fc.*`` and ``classifier.*``; ``supernet.trained.torchreid`` loads all but the classifier.

    Args:
        name: a name in ``OSNET_CHANNELS``.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        stem, *widths = OSNET_CHANNELS[name]
        self.feature_width: int = widths[-1]
        places = INSTANCE_NORM.get(name, _NOWHERE)
        self.conv1 = ConvBN(3, stem, kernel=7, stride=2, norm="instance" if name in INSTANCE_NORM else "batch")
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = _stage(stem, widths[0], True, places[0])
        self.conv3 = _stage(widths[0], widths[1], True, places[1])
        self.conv4 = _stage(widths[1], widths[2], False, places[2])
        self.conv5 = ConvBN(widths[2], widths[2])
        _initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``(N, 3, H, W)`` to ``(N, feature_width, H / 16, W / 16)``."""
        x = self.maxpool(self.conv1(images))
        return self.conv5(self.conv4(self.conv3(self.conv2(x))))


def _stage(
    in_channels: int, out_channels: int, halve: bool, places: tuple[InstanceNorm, InstanceNorm]
) -> nn.Sequential:
    first, second = places
    stage = nn.Sequential(OSBlock(in_channels, out_channels, first), OSBlock(out_channels, out_channels, second))
    if halve:
        stage.append(nn.Sequential(ConvBN(out_channels, out_channels), nn.AvgPool2d(2)))
    return stage


def _initialise(network: nn.Module) -> None:
    """As torchreid: Kaiming normal (fan out) for convolutions, their biases 0; norms stay at 1 and 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def osnet_imagenet_url(name: str) -> str:
    """Always raises UserError: torchreid's weights are published where a program cannot download them by URL."""
    if name in UNPUBLISHED:
        raise UserError(f"there are no ImageNet weights of {name}: train it from scratch, or use osnet_x0_5")
    raise UserError(
        f"ImageNet weights of {name} cannot be downloaded by a program: get {name}_imagenet.pth from torchreid's model"
        " zoo (https://kaiyangzhou.github.io/deep-person-reid/MODEL_ZOO) and give the file's path"
    )
