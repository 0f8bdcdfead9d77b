"""Whether vectors differ at all: ranks can be read from any, and a score near chance is no sign of what is wrong."""

from __future__ import annotations

import torch
from torch.nn import functional

ALIKE = 0.01
"""Spread below which a reader is told: two vectors then have a cosine of 0.9999 in the mean."""

MOST = 4096
"""Vectors that are looked at; of more every so many-th."""


def hardly_differ(features: torch.Tensor) -> list[str]:
    """A note on vectors ``(N, D)`` that are nearly all the same, none on others.

    The spread is the doctor's (``reid.engine.doctor.signs``). A network that was trained for a few steps gives such
    vectors: what it learnt may differ between images, but BN's running statistics are still near those it began with.
    """
    some = features[:: max(1, len(features) // MOST)].float()
    spread = float(functional.normalize(some, dim=1).std(0, correction=0).mean() * features.shape[1] ** 0.5)
    if len(some) < 2 or not spread < ALIKE:  # neither of numbers that are none
        return []
    return [f"the vectors hardly differ (spread {spread:.2g} of 1): trained for too few steps, or collapsed"]
