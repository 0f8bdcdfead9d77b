"""The ordinary head, on a whole feature map or on a stripe of one."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from reid.models.heads.branch_update import BranchRule
from reid.models.heads.config import HeadConfig, Neck
from reid.models.heads.erasing import FeatureErase
from reid.models.heads.mask import FeatureMask
from reid.models.heads.output import HeadOutput
from reid.models.heads.pooling import build_pool, mean_order
from reid.models.heads.spectral import spectral_transform


class PlainHead(nn.Module):
    """Erasing, pooling, linear embedding, neck, ReLU, mask; dropout before the classifier. All but pooling and neck are
    optional.

    Args:
        config: ``parts`` must be null.
        in_channels: channels ``C`` of the feature map.

    Attributes:
        dim: length ``D`` of the retrieval vector.
        metric_dim: length ``Df`` of the vector that metric losses see.
        part_dims, part_classifiers: length and classifier number of each vector that is classified in training
            (spectral feature transformation shares the ordinary vector's classifier).
        rule: how the losses of these vectors are combined.
    """

    def __init__(self, config: HeadConfig, in_channels: int) -> None:
        super().__init__()
        self.dim = self.metric_dim = config.embedding or in_channels
        self.erase = build_erase(config)
        self.pool = build_pool(config)
        self.embed = nn.Linear(in_channels, self.dim, bias=False) if config.embedding else nn.Identity()
        self.neck = build_neck(config.neck, self.dim)
        self.relu = nn.ReLU() if config.relu else nn.Identity()
        self.mask = FeatureMask(in_channels, self.dim) if config.mask else None
        self.dropout = build_dropout(config.dropout)
        self.normalize = config.normalize
        self.spectral = config.spectral
        classified = 2 if config.spectral else 1
        self.part_dims: tuple[int, ...] = (self.dim,) * classified
        self.part_classifiers: tuple[int, ...] = (0,) * classified
        self.rule = BranchRule(extras=(config.spectral.weight,) if config.spectral else ())

    def forward(self, feature_map: torch.Tensor, gate: torch.Tensor | None = None) -> HeadOutput:
        """``(N, C, h, w)`` to ``feature`` and ``embedding`` ``(N, D)`` and the classified vectors.

        ``gate`` ``(N, D)`` multiplies the vector where the head has no mask of its own.
        """
        pooled = self.pool(self.erase(feature_map))
        feature = self.embed(pooled)
        vector = self.relu(self.neck(feature))
        if self.mask is not None:
            gate = self.mask(pooled)
        if gate is not None:
            vector = vector * gate
        parts = (self.dropout(vector),)
        if self.spectral is not None and self.training:
            parts += (self.dropout(spectral_transform(vector, feature, self.spectral.temperature)),)
        return HeadOutput(feature, F.normalize(vector) if self.normalize else vector, parts)

    def inference_head(self) -> nn.Module:
        """The head without parts that serve training only: here the head itself."""
        return self


class BNNeckHead(PlainHead):
    """The default head: average pooling, an optional linear embedding, and the BNNeck of Luo et al. 2019 ("Bag of
    tricks"), whose shift stays zero so that the classifier's hyperplanes pass through the origin.

    Args:
        in_channels: channels ``C`` of the feature map.
        embedding: outputs of the linear layer, or ``None`` for none (then ``D = C``).
    """

    def __init__(self, in_channels: int, embedding: int | None = None) -> None:
        super().__init__(HeadConfig(embedding=embedding), in_channels)


def build_neck(kind: Neck, dim: int) -> nn.Module:
    """BN over ``(N, dim)``, with its shift frozen at 0 for a ``bnneck``; the identity for ``none``."""
    if kind == "none":
        return nn.Identity()
    neck = nn.BatchNorm1d(dim)
    neck.bias.requires_grad_(kind == "bn")
    return neck


def build_dropout(rate: float) -> nn.Module:
    """Dropout, or the identity for rate 0."""
    return nn.Dropout(rate) if rate else nn.Identity()


def build_erase(config: HeadConfig) -> nn.Module:
    """The config's feature erasing, or the identity."""
    return FeatureErase(config.erase, mean_order(config)) if config.erase else nn.Identity()
