"""Center loss (Wen et al. 2016, "A discriminative feature learning approach for deep face recognition")."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from reid.precision import full_precision


class CenterLoss(nn.Module):
    """Mean squared Euclidean distance of features to the center of their identity.

    As in the bag of tricks (Luo et al. 2019, weight 5e-4): a mean over the batch and no factor 1/2, where Wen et al.
    have half the sum. (Its code also clamps the ``N (C - 1)`` masked distances from 0 up to 1e-12 and sums them; that
    constant is not here.)

    The centers are not parameters: ``follow`` moves them, by plain gradient descent on the loss without its weight, as
    the bag of tricks' second optimizer does. Their step is a closed form of the features, so it is not scaled, clipped
    or summed over processes.

    Args:
        classes: identities ``C``.
        dim: length ``D`` of the features.

    Attributes:
        centers: ``(C, D)`` buffer, standard normal at first.
    """

    def __init__(self, classes: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("centers", torch.randn(classes, dim))

    @full_precision
    def forward(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """``(N, D)`` features and ``(N,) int64`` labels in ``0..C-1`` to a scalar."""
        return (features - self.centers[labels]).square().sum(1).mean()

    @torch.no_grad()
    @full_precision
    def follow(self, features: torch.Tensor, labels: torch.Tensor, rate: float) -> None:
        """Moves each center by ``rate * 2 / N`` times the sum of the offsets of its identity's images from it.

        Wen et al. move it by ``rate`` times that sum over one more than the number of those images.
        """
        offsets = (features - self.centers[labels]).to(self.centers.dtype)
        # A matrix product: on GPUs index_add_ adds in arbitrary order, and copies on several GPUs would drift apart.
        members = F.one_hot(labels, len(self.centers)).to(offsets.dtype)
        self.centers.addmm_(members.T, offsets, alpha=2.0 * rate / len(labels))
