"""The activations that a stage may have, as layers and as functions."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

RELU6, H_SWISH = "relu6", "h-swish"
ACTIVATIONS = (RELU6, H_SWISH)
"""Names of all, the cheaper one first. h-swish is ``x * relu6(x + 3) / 6`` (Howard et al. 2019, MobileNetV3)."""


def activation_layer(name: str) -> nn.Module:
    """A new layer, in place; ``name`` is one of ``ACTIVATIONS``."""
    return {RELU6: nn.ReLU6, H_SWISH: nn.Hardswish}[name](inplace=True)


def activate(x: torch.Tensor, name: str) -> torch.Tensor:
    """What ``activation_layer(name)`` does to ``x``; ``x`` is overwritten."""
    return {RELU6: F.relu6, H_SWISH: F.hardswish}[name](x, inplace=True)
