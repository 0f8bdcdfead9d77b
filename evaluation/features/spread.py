"""A check that vectors differ at all: even equal vectors can be ranked, and a score near chance does not say why."""

from __future__ import annotations

import torch
from torch.nn import functional

ALIKE = 0.01
"""Spread below which the user is warned: two vectors then have a cosine of 0.9999 on average."""

MOST = 4096
"""Greatest number of vectors examined; if there are more, they are sampled at a regular interval."""


def hardly_differ(features: torch.Tensor) -> list[str]:
    """A note if the vectors ``(N, D)`` are nearly all the same, else none.

    The spread is the doctor's (``reid.engine.doctor.signs``). A network trained for only a few steps gives such
    vectors: its features may differ between images, but BN's running statistics are still near their initial values.
    """
    some = features[:: max(1, len(features) // MOST)].float()
    spread = float(functional.normalize(some, dim=1).std(0, correction=0).mean() * features.shape[1] ** 0.5)
    if len(some) < 2 or not spread < ALIKE:  # neither of numbers that are none
        return []
    return [f"the vectors hardly differ (spread {spread:.2g} of 1): trained for too few steps, or collapsed"]
