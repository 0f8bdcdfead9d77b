"""Networks that begin shallow, since their residual branches begin at 0 (``zero_init_residual`` of a recipe)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

_LIBRARIES = {
    "torchvision.models.resnet": {"BasicBlock": "bn2", "Bottleneck": "bn3"},
    "timm.models._efficientnet_blocks": {
        "DepthwiseSeparableConv": "bn2",
        "InvertedResidual": "bn3",
        "EdgeResidual": "bn2",
    },
}
"""The last BN of the residual branch of libraries' blocks, by their module and the name of their class."""

ZeroInit = bool | Literal["auto", "identity"]
"""Of which blocks the residual branches begin at 0: all whose branch is known; none; with ``identity`` those whose
shortcut is their input as it is; with ``auto`` those that were measured to gain by it (docs/recipes.md): inverted
residuals, of MobileNetV2's kind, of archs and supernets."""


@dataclass(frozen=True)
class _Branch:
    """A residual branch: its last normalisation's scale ``(C,)``, whether its block gains by a beginning at 0, and
    whether its shortcut is the block's input as it is."""

    scale: nn.Parameter
    gains: bool
    identity: bool


def residual_scales(network: nn.Module, which: Literal[True, "auto", "identity"] = True) -> Iterator[nn.Parameter]:
    """The scale of the last normalisation of each residual branch, ``(C,)``: what the branch is multiplied by.

    Known are torchvision's ResNets, timm's MobileNets and EfficientNets, and blocks that tell it as their
    ``residual_scale`` (a parameter, or ``None`` for a block without a shortcut): archs, supernets and OSNets. Of other
    networks nothing is known.

    Args:
        network: any.
        which: of all blocks, or as in ``ZeroInit``.
    """
    for branch in filter(None, map(_branch, network.modules())):
        if {"auto": branch.gains, "identity": branch.identity}.get(which, True):
            yield branch.scale


def _branch(block: nn.Module) -> _Branch | None:
    """The residual branch of ``block``; ``None`` for what is no such block, or one without a shortcut."""
    identity = isinstance(getattr(block, "downsample", None), nn.Identity | None)
    if isinstance(scale := getattr(block, "residual_scale", None), nn.Parameter):
        return _Branch(scale, getattr(block, "gains_from_zero", False), identity)
    norm = _LIBRARIES.get(type(block).__module__, {}).get(type(block).__name__)
    if norm is None or not getattr(block, "has_skip", True):
        return None
    return _Branch(getattr(block, norm).weight, hasattr(block, "has_skip"), identity)


@torch.no_grad()
def zero_residuals(network: nn.Module, which: ZeroInit = True) -> int:
    """Sets the ``residual_scales`` of ``which`` blocks of a fresh network to 0, so that at first each of them is its
    shortcut; returns how many.

    With BN, gradients grow from layer to layer towards the image: in a fresh MobileNetV2 the stem's is a hundred times
    as long as the last convolution's, a seventh of that where the branches begin at 0. So Goyal et al. 2017 began
    ResNets, and Yu et al. 2020 (BigNAS) a supernet. What has no shortcut, and what does not know of its normalisation,
    begins as ever. Nothing is drawn: torch's generators are as before.
    """
    scales = list(residual_scales(network, which)) if which else []
    for scale in scales:
        scale.zero_()
    return len(scales)
