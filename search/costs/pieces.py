"""Layers as sums of pieces, for counting costs: a space has thousands of layers but only a few hundred distinct pieces,
and fvcore takes tens of milliseconds per layer.

fvcore counts operator by operator, so a layer's FLOPs are those of its convolutions, norms and pools; sums, products
and activations count nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

from reid.models.backbones.osnet_blocks import ChannelGate
from supernet.layers.activations import RELU6
from supernet.layers.blocks import ConvBNAct
from supernet.layers.depthwise import DepthwiseConv2d
from supernet.layers.squeeze_excite import SqueezeExcite
from supernet.omni.layers import LightConv


class Piece(NamedTuple):
    """A module that a layer runs.

    Attributes:
        make: constructor; its first argument, in ``arguments``, is the number of input channels.
        height, width: of its input.
        runs: number of times that the layer runs it or an identical piece.
        copies: number of these that have weights of their own.
    """

    make: Callable[..., nn.Module]
    height: int
    width: int
    arguments: tuple[Any, ...]
    runs: int = 1
    copies: int = 1


def inverted_residual(
    height: int,
    width: int,
    channels: int,
    out: int,
    kernel: int,
    expand: int,
    stride: int,
    se: bool = False,
    ibn: bool = False,
) -> list[Piece]:
    """The pieces of a ``supernet.layers.blocks.InvertedResidual``."""
    hidden, small = channels * expand, (-(-height // stride), -(-width // stride))
    expansion = [Piece(ConvBNAct, height, width, (channels, hidden, 1, 1, RELU6, ibn))] if expand > 1 else []
    gate = [Piece(SqueezeExcite, *small, (hidden,))] if se else []
    depthwise = Piece(_depthwise, height, width, (hidden, kernel, stride))
    return [*expansion, depthwise, *gate, Piece(ConvBNAct, *small, (hidden, out, 1, 1))]


def _depthwise(channels: int, kernel: int, stride: int) -> nn.Module:
    return nn.Sequential(DepthwiseConv2d(channels, kernel, stride), nn.BatchNorm2d(channels))


def omni_scale(
    height: int, width: int, channels: int, out: int, hidden: int, streams: int, kernel: int, project: bool
) -> list[Piece]:
    """The pieces of a ``supernet.omni.layers.OmniScale``, whose streams share one gate."""

    def conv(before: int, after: int) -> Piece:
        return Piece(ConvBNAct, height, width, (before, after, 1, 1))

    lights = streams * (streams + 1) // 2
    return [
        conv(channels, hidden),
        Piece(LightConv, height, width, (hidden, kernel), lights, lights),
        Piece(ChannelGate, height, width, (hidden,), streams),
        conv(hidden, out),
        *([conv(channels, out)] if project else []),
    ]


PIECES: dict[str, Callable[..., list[Piece]]] = {"block": inverted_residual, "omni-block": omni_scale}
"""Pieces of layers by their names in ``supernet.layer_kinds.LAYERS``; other layers are counted whole."""
