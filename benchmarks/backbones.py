"""The cost of each backbone, and whether its counts agree with published ones.

Prints for every backbone parameters, fvcore FLOPs and convolution multiply-adds at 256x128 and its usual last stride.
Beside them, published multiply-adds, at the input size and last stride they were published for, and the ratio of ours
to them: 1 except for rounding. Published counts include layers that belong to a head here; those are added to ours
first.
"""

from __future__ import annotations

from dataclasses import dataclass

import _root  # noqa: F401  (first: it mends the import path)
from torch import nn

from reid.errors import UserError
from reid.models.backbones import BACKBONES, build_backbone
from reid.models.network import count_parameters
from reid.options import Parser
from search.costs.fvcore_counts import conv_linear_macs, network_counts
from supernet.files import mobilenet_v2
from supernet.network import ArchBackbone


@dataclass(frozen=True)
class Published:
    """A published count.

    Attributes:
        macs: multiply-adds of convolutions and linear layers.
        size: ``(height, width)`` of the image they are for.
        last_stride: of the last stage.
        dense: ``(inputs, outputs)`` of the linear layers, or 1x1 convolutions after pooling, that are in the count.
        source: where it was published.
    """

    macs: float
    size: tuple[int, int]
    last_stride: int
    dense: tuple[tuple[int, int], ...]
    source: str


REID, IMAGENET = (256, 128), (224, 224)
TORCHVISION, ZOO = "torchvision's table", "torchreid's model zoo"

PUBLISHED = {
    "resnet18": (Published(1.814e9, IMAGENET, 2, ((512, 1000),), TORCHVISION),),
    "resnet34": (Published(3.664e9, IMAGENET, 2, ((512, 1000),), TORCHVISION),),
    "resnet50": (
        Published(4.089e9, IMAGENET, 2, ((2048, 1000),), TORCHVISION),
        Published(2.7e9, REID, 2, (), ZOO),
        Published(4.1e9, REID, 1, ((2048, 512),), ZOO),
    ),
    "resnet101": (Published(7.801e9, IMAGENET, 2, ((2048, 1000),), TORCHVISION),),
    "osnet_x0_25": (Published(82.3e6, REID, 1, ((128, 512),), "Zhou et al. 2019"),),
    "osnet_x0_5": (Published(272.9e6, REID, 1, ((256, 512),), "Zhou et al. 2019"),),
    "osnet_x0_75": (Published(571.8e6, REID, 1, ((384, 512),), "Zhou et al. 2019"),),
    "osnet_x1_0": (Published(978.9e6, REID, 1, ((512, 512),), "Zhou et al. 2019"),),
    "mobilenetv3_small_100": (Published(56e6, IMAGENET, 2, ((576, 1024), (1024, 1000)), "Howard et al. 2019"),),
    "mobilenetv3_large_100": (Published(219e6, IMAGENET, 2, ((960, 1280), (1280, 1000)), "Howard et al. 2019"),),
    "efficientnetv2_b0": (Published(0.72e9, IMAGENET, 2, ((1280, 1000),), "google/automl's table"),),
    "efficientnetv2_s": (Published(8.4e9, (384, 384), 2, ((1280, 1000),), "google/automl's table"),),
    "mobilenetv2": (Published(300e6, IMAGENET, 2, ((1280, 1000),), "Sandler et al. 2018"),),
}


def build(name: str, last_stride: int | None = None) -> nn.Module:
    return ArchBackbone(mobilenet_v2()) if name == "mobilenetv2" else build_backbone(name, last_stride)


def comparison(name: str, published: Published) -> str:
    macs = conv_linear_macs(build(name, published.last_stride), published.size)
    macs += sum(inputs * outputs for inputs, outputs in published.dense)
    height, width = published.size
    where = f"{height}x{width}, last stride {published.last_stride}, {published.source}"
    return f"{published.macs / 1e6:9.1f} {macs / published.macs:7.4f}  {where}"


def print_rows(name: str) -> None:
    backbone = build(name)
    counts = network_counts(backbone, REID)
    millions = [count / 1e6 for count in (count_parameters(backbone), counts.flops, counts.conv_linear)]
    row = "{:22} {:8.3f} {:8.1f} {:8.1f}".format(name, *millions)
    for line in [comparison(name, published) for published in PUBLISHED.get(name, ())] or [""]:
        print(f"{row} {line}".rstrip(), flush=True)
        row = " " * len(row)


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("names", nargs="*", help="backbones (default: all)")
    names = parser.parse_args().names or [*BACKBONES, "mobilenetv2"]
    print(f"{'':22} params/M  FLOPs/M   MACs/M  published   ratio  (published for)")
    try:
        for name in names:
            print_rows(name)
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
