"""A smaller kernel as a trained linear map of the larger one's centre (Once-for-All, Cai et al. 2020, section 3.3).

Where a small kernel is simply the centre of the large one, the centre has to serve as both, and the small kernel
suffers: in measurements on the tiny space, such supernets prefer large kernels where networks that are trained alone do
not (docs/ranking-tries.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


class KernelTransforms(nn.Module):
    """Maps from each kernel to the next smaller one: a ``(k * k, k * k)`` matrix shared by all channels, initially the
    identity.

    Args:
        kernels: sides, ascending, all odd.
    """

    def __init__(self, kernels: Sequence[int]) -> None:
        super().__init__()
        self.kernels = tuple(kernels)
        self.matrices = nn.ParameterDict({str(kernel): nn.Parameter(torch.eye(kernel**2)) for kernel in kernels[:-1]})

    def shrink(self, weight: torch.Tensor, kernel: int) -> torch.Tensor:
        """``(O, I, k, k)`` of the largest kernel to ``(O, I, kernel, kernel)``, through the sizes in between."""
        for larger, smaller in pairwise(self.kernels[::-1]):
            if larger == kernel:
                break
            border = (larger - smaller) // 2
            centre = weight[:, :, border : border + smaller, border : border + smaller]
            weight = (centre.flatten(2) @ self.matrices[str(smaller)]).view_as(centre)
        return weight
