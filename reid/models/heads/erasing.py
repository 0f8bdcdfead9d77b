"""Feature erasing: training without a random rectangle of the feature map."""

from __future__ import annotations

import torch
from torch import nn

from reid.models.heads.config import FeatureEraseConfig


class FeatureErase(nn.Module):
    """Zeroes one rectangle in all channels in training; in eval mode the map passes unchanged.

    Batch drop block (Dai et al. 2019) and pytorch-reid-lite's feature erasing. They pool by maximum. Other pools would
    change their scale, and a BN after them would learn it wrongly for inference, so the rest is multiplied by
    ``kept share ** (-1 / order)``: exact in the mean for average pooling, as in DropBlock (Ghiasi et al. 2018).

    The sides are rounded to whole positions; a side that rounds to 0 erases nothing, and at least one row or column is
    left. Draws come from the default generator of the map's device, without waiting for it.

    Args:
        config: sides, chance, and whether each image gets a rectangle of its own.
        order: p of the generalised mean that pools the map afterwards; infinity for a maximum.
    """

    def __init__(self, config: FeatureEraseConfig, order: float = 1.0) -> None:
        super().__init__()
        self.config = config
        self.order = order

    def forward(self, feature_map: torch.Tensor) -> torch.Tensor:
        """Same shape as ``feature_map`` ``(N, C, h, w)``."""
        if not self.training:
            return feature_map
        count, _, height, width = feature_map.shape
        rows, columns = erased_sides(height, width, self.config)
        draws = torch.rand(3, count if self.config.per_image else 1, device=feature_map.device)
        hit = draws[0] < self.config.probability
        inside = _span(draws[1], height, rows)[:, :, None] & _span(draws[2], width, columns)[:, None, :]
        erased = (inside & hit[:, None, None]).unsqueeze(1)
        kept_share = 1.0 - rows * columns / (height * width)
        # An image that is not hit keeps its scale.
        scale = torch.where(hit, kept_share ** (-1.0 / self.order), 1.0).to(feature_map.dtype)
        return torch.where(erased, 0.0, feature_map * scale[:, None, None, None])


def erased_sides(height: int, width: int, config: FeatureEraseConfig) -> tuple[int, int]:
    """Rows and columns of the rectangle in a map of ``height`` by ``width``; never the whole map, and nothing where one
    of them is 0."""
    rows, columns = round(config.height * height), round(config.width * width)
    if rows == height and columns == width:
        if config.height <= config.width:
            rows -= 1
        else:
            columns -= 1
    return rows, columns


def _span(draw: torch.Tensor, length: int, size: int) -> torch.Tensor:
    """``(B,)`` draws in [0, 1) as ``(B, length) bool`` of ``size`` neighbours, each place equally likely."""
    start = (draw * (length - size + 1)).long().clamp(max=length - size)
    position = torch.arange(length, device=draw.device)
    return (position >= start[:, None]) & (position < start[:, None] + size)
