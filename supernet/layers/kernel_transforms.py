"""A smaller kernel as a trained linear map of the larger one's centre (Once-for-All, Cai et al. 2020, section 3.3).

Where a small kernel is the very centre of the large one, the centre has two roles at once, and the small kernel plays
the lesser: measured on the tiny space, supernets then prefer large kernels where networks that are trained alone do not
(docs/ranking-tries.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


class KernelTransforms(nn.Module):
    """From each kernel to the next smaller one: a ``(k * k, k * k)`` matrix that all channels share, at first the
    identity.

    Args:
        kernels: sides, ascending, all odd.
    """

    def __init__(self, kernels: Sequence[int]) -> None:
        super().__init__()
        self.kernels = tuple(kernels)
        self.matrices = nn.ParameterDict({str(kernel): nn.Parameter(torch.eye(kernel**2)) for kernel in kernels[:-1]})

    def shrink(self, weight: torch.Tensor, kernel: int) -> torch.Tensor:
        """``(O, I, k, k)`` of the largest kernel to ``(O, I, kernel, kernel)``, by way of those in between."""
        for larger, smaller in pairwise(self.kernels[::-1]):
            if larger == kernel:
                break
            border = (larger - smaller) // 2
            centre = weight[:, :, border : border + smaller, border : border + smaller]
            weight = (centre.flatten(2) @ self.matrices[str(smaller)]).view_as(centre)
        return weight
