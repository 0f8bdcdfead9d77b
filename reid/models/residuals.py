"""Networks that begin shallow, since their residual branches begin at 0 (``zero_init_residual`` of a recipe)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import nn

_TORCHVISION = {"BasicBlock": "bn2", "Bottleneck": "bn3"}
"""The last BN of the residual branch of torchvision's ResNet blocks, by the name of their class."""

ZeroInit = bool | Literal["auto"]
"""Of which blocks the residual branches begin at 0: all whose branch is known, none, or with ``auto`` those that were
measured to gain by it (docs/recipes.md): MobileNetV2's, of archs and supernets. OSNet's and ResNet-18's lose by it."""


def residual_scales(network: nn.Module, which: Literal[True, "auto"] = True) -> Iterator[nn.Parameter]:
    """The scale of the last normalisation of each residual branch, ``(C,)``: what the branch is multiplied by.

    Known are torchvision's ResNets, and blocks that tell it as their ``residual_scale`` (a parameter, or ``None`` for a
    block without a shortcut): archs, supernets and OSNets. Of other networks nothing is known.

    Args:
        network: any.
        which: ``"auto"`` for blocks alone that say of themselves ``gains_from_zero``.
    """
    for block in network.modules():
        if which == "auto" and not getattr(block, "gains_from_zero", False):
            continue
        if isinstance(scale := getattr(block, "residual_scale", None), nn.Parameter):
            yield scale
        elif type(block).__module__ == "torchvision.models.resnet" and type(block).__name__ in _TORCHVISION:
            yield getattr(block, _TORCHVISION[type(block).__name__]).weight


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
