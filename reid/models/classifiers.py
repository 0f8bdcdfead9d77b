"""Identity classifiers: used in training only and never part of a shipped network."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Classifier(nn.Linear):
    """A linear layer without bias, for softmax cross-entropy.

    Args:
        dim: length ``D`` of the vectors.
        classes: number of training identities.
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__(dim, classes, bias=False)
        # Small weights make the first softmax flat, as the BNNeck paper's code has it.
        nn.init.normal_(self.weight, std=0.001)


class CosineClassifier(nn.Module):
    """Cosines between vectors and one direction for each class; losses with a margin (AM-softmax, circle) take them.

    Scale and margin are the loss's. Cosines are float32, under autocast too.

    Args:
        dim: length ``D`` of the vectors.
        classes: number of training identities.
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        # Unit vectors in random directions: the gradient of a cosine shrinks with the length of the weight.
        self.weight = nn.Parameter(F.normalize(torch.randn(classes, dim)))

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """``(N, D)`` to cosines ``(N, classes) float32`` (float64 for float64 input)."""
        dtype = torch.promote_types(vectors.dtype, torch.float32)
        with torch.autocast(vectors.device.type, enabled=False):
            return F.linear(F.normalize(vectors.to(dtype)), F.normalize(self.weight.to(dtype)))


def classifiers_of(head: nn.Module, classes: int, make: type[Classifier | CosineClassifier]) -> nn.ModuleList:
    """A classifier for each vector that ``head`` classifies, in the order of their numbers; some vectors share one."""
    dims = dict(zip(head.part_classifiers, head.part_dims, strict=True))  # those that share one have equal lengths
    return nn.ModuleList(make(dims[number], classes) for number in sorted(dims))
