"""Fresh weights against what He et al. 2015 draw them by."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn


def not_kaimings(backbone: nn.Module) -> list[str]:
    """Names of parameters that are drawn otherwise: convolutions have the standard deviation sqrt(2 / fan out),
    normalisations begin as the identity."""
    wrong, convolutions = [], 0
    for name, weight in backbone.named_parameters():
        if weight.dim() == 4:
            convolutions += 1
            fan_out = weight.shape[0] * weight.shape[2] * weight.shape[3]
            tolerance = 4 / math.sqrt(2 * weight.numel())  # four deviations of a sample's standard deviation
            right = float(weight.detach().std()) == pytest.approx(math.sqrt(2 / fan_out), rel=tolerance)
        else:
            right = torch.equal(weight, torch.full_like(weight, float(name.endswith("weight"))))
        wrong += [] if right else [name]
    assert convolutions > 10
    return wrong
