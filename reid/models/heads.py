"""Heads: from a backbone's feature map to the vector that persons are compared by."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn


class HeadOutput(NamedTuple):
    """What a head gives for ``N`` images.

    Attributes:
        feature: ``(N, D)`` before the BNNeck; metric losses (triplet) see this one.
        embedding: ``(N, D)`` after the BNNeck; the classifier and the retrieval see this one.
    """

    feature: torch.Tensor
    embedding: torch.Tensor


class BNNeckHead(nn.Module):
    """Global average pooling, an optional linear embedding, and the BNNeck of Luo et al. 2019 ("Bag of tricks").

    The BNNeck is a BN over the vector whose shift stays zero, so that the classifier's hyperplanes pass through the
    origin.

    Args:
        in_channels: channels ``C`` of the feature map.
        embedding: outputs of the linear layer, or ``None`` for none (then ``D = C``).
    """

    def __init__(self, in_channels: int, embedding: int | None = None) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.embed = nn.Linear(in_channels, embedding, bias=False) if embedding else nn.Identity()
        self.dim = embedding or in_channels
        self.neck = nn.BatchNorm1d(self.dim)
        self.neck.bias.requires_grad_(False)

    def forward(self, feature_map: torch.Tensor) -> HeadOutput:
        """``(N, C, h, w)`` to two ``(N, D)`` vectors."""
        feature = self.embed(torch.flatten(self.pool(feature_map), 1))
        return HeadOutput(feature, self.neck(feature))


class Classifier(nn.Linear):
    """Identity classifier without bias; used in training only and never part of a shipped network.

    Args:
        dim: length ``D`` of the embedding.
        classes: number of training identities.
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__(dim, classes, bias=False)
        # Small weights make the first softmax flat, as the BNNeck paper's code has it.
        nn.init.normal_(self.weight, std=0.001)
