"""PCB: horizontal stripes of the feature map, each with a head of its own, beside or without the ordinary head."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from reid.errors import UserError
from reid.models.heads.branch_update import BranchRule
from reid.models.heads.config import HeadConfig
from reid.models.heads.mask import FeatureMask
from reid.models.heads.output import HeadOutput
from reid.models.heads.plain import PlainHead, build_dropout, build_erase


class PartHead(nn.Module):
    """The stripes of Sun et al. 2018 ("Beyond part models", PCB) and, where wanted, a global branch.

    The classified vectors are the global branch's, then the stripes' from top to bottom, each by a classifier of its
    own, then that of the spectral feature transformation. Dropout before the stripes, a BN in each, the mask and the
    global branch follow pytorch-reid-lite.

    Args:
        config: ``parts`` must be given.
        in_channels: channels ``C`` of the feature map.

    Attributes:
        whole: the global branch, or ``None``.
        stripes: the stripes' heads, from top to bottom.
        dim, metric_dim, part_dims, part_classifiers, rule: as ``PlainHead``'s.
    """

    def __init__(self, config: HeadConfig, in_channels: int) -> None:
        super().__init__()
        parts = config.parts
        # One rectangle is erased for all branches.
        self.erase = build_erase(config)
        whole = replace(config, parts=None, erase=None)
        stripe = replace(whole, embedding=parts.embedding, neck=parts.neck, relu=False, mask=False, spectral=None)
        self.whole = PlainHead(whole, in_channels) if parts.global_branch else None
        self.dropout = build_dropout(parts.dropout)
        self.stripes = nn.ModuleList(PlainHead(stripe, in_channels) for _ in range(parts.stripes))
        self.mask = FeatureMask(in_channels, parts.stripes * parts.embedding) if parts.mask else None
        self.normalize = config.normalize
        self.stripes_retrieve = parts.retrieve == "all"

        branches = len(self.stripes) + parts.global_branch
        of_whole = self.whole.part_dims if self.whole else ()
        self.part_dims: tuple[int, ...] = (
            *of_whole[:1],
            *(parts.embedding for _ in self.stripes),
            *of_whole[1:],
        )
        self.part_classifiers: tuple[int, ...] = (*range(branches), *(0 for _ in of_whole[1:]))
        extras = self.whole.rule.extras if self.whole else ()
        self.rule = BranchRule(parts.update, parts.drop, extras, whole=parts.global_branch)
        self.metric_dim = self.whole.dim if self.whole else parts.stripes * parts.embedding
        self.dim = sum(self.part_dims[:branches]) if self.stripes_retrieve else self.whole.dim

    def forward(self, feature_map: torch.Tensor) -> HeadOutput:
        """``(N, C, h, w)`` to the feature, the embedding ``(N, D)`` and the classified vectors.

        Raises:
            UserError: the map has fewer rows than there are stripes, and they are needed.
        """
        feature_map = self.erase(feature_map)
        whole = self.whole(feature_map) if self.whole is not None else None
        if whole is not None and not self.stripes_retrieve and not self.training:
            return whole
        stripes = self._stripes(feature_map)
        if whole is None:
            feature = torch.cat([stripe.feature for stripe in stripes], 1)
            return HeadOutput(feature, self._row(stripes), tuple(stripe.parts[0] for stripe in stripes))
        parts = (whole.parts[0], *(stripe.parts[0] for stripe in stripes), *whole.parts[1:])
        embedding = self._row([whole, *stripes]) if self.stripes_retrieve else whole.embedding
        return HeadOutput(whole.feature, embedding, parts)

    def inference_head(self) -> nn.Module:
        """The head without parts that serve training only: the global branch, where that alone retrieves."""
        return self if self.stripes_retrieve else self.whole

    def _stripes(self, feature_map: torch.Tensor) -> list[HeadOutput]:
        gates: tuple[torch.Tensor | None, ...] = (None,) * len(self.stripes)
        if self.mask is not None:
            pooled = torch.flatten(F.adaptive_avg_pool2d(feature_map, 1), 1)
            gates = self.mask(pooled).chunk(len(self.stripes), 1)
        feature_map = self.dropout(feature_map)
        # A plain number: a trace for export holds the stripes of the height it was made with.
        bounds = stripe_bounds(int(feature_map.shape[2]), len(self.stripes))
        return [
            head(feature_map[:, :, top:bottom], gate)
            for head, (top, bottom), gate in zip(self.stripes, bounds, gates, strict=True)
        ]

    def _row(self, branches: list[HeadOutput]) -> torch.Tensor:
        """The branches' embeddings concatenated, of norm 1 if each has norm 1."""
        row = torch.cat([branch.embedding for branch in branches], 1)
        return row / math.sqrt(len(branches)) if self.normalize else row


def stripe_bounds(height: int, stripes: int) -> list[tuple[int, int]]:
    """First row and row after the last of each stripe of a map of ``height`` rows.

    The bounds are those of adaptive pooling: equal where ``stripes`` divides ``height``, else neighbours may share a
    row.

    Raises:
        UserError: fewer rows than stripes.
    """
    if height < stripes:
        raise UserError(
            f"head.parts.stripes: a feature map of {height} rows cannot be divided into {stripes} stripes; use fewer "
            "stripes, taller images, or a last stride of 1 (in an arch file its stage's; for other backbones "
            "last_stride=1)"
        )
    return [(i * height // stripes, ((i + 1) * height + stripes - 1) // stripes) for i in range(stripes)]
