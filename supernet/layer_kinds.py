"""Every kind of layer in an arch, by its name in ``Arch`` and its stages."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from supernet.layers.blocks import ConvBNAct, InvertedResidual, StemPool
from supernet.omni.layers import OmniScale, Transition

LAYERS: dict[str, Callable[..., nn.Module]] = {
    "conv": ConvBNAct,
    "pool": StemPool,
    "block": InvertedResidual,
    "omni-block": OmniScale,
    "transition": Transition,
}
"""Each is made by its input's channels, the further arguments of ``supernet.arch.stage.Layer``, and ``act`` where it
has an activation."""
