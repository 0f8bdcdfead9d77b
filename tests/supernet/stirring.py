"""Networks whose normalisations do something, as those of trained networks do."""

from __future__ import annotations

import torch
from torch import nn


def stirred(network: nn.Module) -> nn.Module:
    """Statistics, scales and biases away from 0 and 1."""
    generator = torch.Generator().manual_seed(3)
    for name, value in network.state_dict().items():
        if value.ndim == 1:
            low = 0.5 if name.endswith(("weight", "running_var")) else -0.3
            value.uniform_(low, low + 1, generator=generator)
    return network
