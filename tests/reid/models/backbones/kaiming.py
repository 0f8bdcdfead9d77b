"""Fresh weights against what He et al. 2015 draw them by."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn


def check_kaiming(backbone: nn.Module) -> None:
    """Convolutions have the standard deviation sqrt(2 / fan out); normalisations begin as the identity."""
    convolutions = 0
    for name, weight in backbone.named_parameters():
        if weight.dim() == 4:
            fan_out = weight.shape[0] * weight.shape[2] * weight.shape[3]
            tolerance = 4 / math.sqrt(2 * weight.numel())  # four deviations of a sample's standard deviation
            assert float(weight.detach().std()) == pytest.approx(math.sqrt(2 / fan_out), rel=tolerance), name
            convolutions += 1
        else:
            assert torch.equal(weight, torch.full_like(weight, float(name.endswith("weight")))), name
    assert convolutions > 10
