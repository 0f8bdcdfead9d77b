"""Initialisation of residual branches at 0 (``zero_init_residual`` of a recipe): each block starts as its shortcut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

_RESNET = {"BasicBlock": "bn2", "Bottleneck": "bn3"}
"""The last BN of the residual branch of torchvision's blocks, by the name of their class."""

_INVERTED = {"DepthwiseSeparableConv": "bn2", "InvertedResidual": "bn3", "EdgeResidual": "bn2"}
"""The same of timm's inverted residuals, which have a shortcut only if they say so (``has_skip``)."""

ZeroInit = bool | Literal["auto", "identity"]
"""Which residual branches start at 0: all known ones, none, those beside an identity shortcut (``identity``), or those
of blocks that gain accuracy this way (``auto``; docs/recipes.md): inverted residuals, in archs and supernets too."""


@dataclass(frozen=True)
class _Branch:
    """A residual branch.

    Attributes:
        scale: of its last normalisation, ``(C,)``.
        gains: whether its block gains accuracy by starting at 0.
        identity: whether its block's shortcut is the input itself, without a convolution.
    """

    scale: nn.Parameter
    gains: bool
    identity: bool


def residual_scales(network: nn.Module, which: Literal[True, "auto", "identity"] = True) -> Iterator[nn.Parameter]:
    """The scale of the last normalisation of each residual branch, ``(C,)``: the factor of the whole branch.

    Known are torchvision's ResNets, timm's MobileNets and EfficientNets, and blocks with a ``residual_scale`` (a
    parameter, or ``None`` without a shortcut): archs, supernets and OSNets. Other networks have no known branch.

    Args:
        network: any.
        which: as in ``ZeroInit``.
    """
    for branch in filter(None, map(_branch, network.modules())):
        if which is True or (branch.gains if which == "auto" else branch.identity):
            yield branch.scale


def _branch(block: nn.Module) -> _Branch | None:
    """The residual branch of ``block``; ``None`` if it is another module or has no shortcut."""
    identity = isinstance(getattr(block, "downsample", None), nn.Identity | None)
    if isinstance(scale := getattr(block, "residual_scale", None), nn.Parameter):
        return _Branch(scale, getattr(block, "gains_from_zero", False), identity)
    library, name = type(block).__module__, type(block).__name__
    if library == "torchvision.models.resnet" and name in _RESNET:
        return _Branch(getattr(block, _RESNET[name]).weight, False, identity)
    if library == "timm.models._efficientnet_blocks" and name in _INVERTED and block.has_skip:
        return _Branch(getattr(block, _INVERTED[name]).weight, True, identity)
    return None


@torch.no_grad()
def zero_residuals(network: nn.Module, which: ZeroInit = True) -> int:
    """Sets the ``residual_scales`` of a fresh network to 0, so that each block starts as its shortcut; returns their
    number.

    With BN, gradients grow from layer to layer towards the image: in a fresh MobileNetV2 the stem's is a hundred times
    as long as the last convolution's, and a seventh of that with branches at 0. Goyal et al. 2017 initialised ResNets
    this way, and Yu et al. 2020 (BigNAS) a supernet. Torch's generators are not used.
    """
    scales = list(residual_scales(network, which)) if which else []
    for scale in scales:
        scale.zero_()
    return len(scales)
