"""Pooling of a feature map ``(N, C, h, w)`` to one vector ``(N, C)``."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from reid.models.heads.config import HeadConfig, Pool


class AvgPool(nn.Module):
    """The mean over all positions."""

    def forward(self, feature_map: torch.Tensor) -> torch.Tensor:
        """``(N, C, h, w)`` to ``(N, C)``."""
        return torch.flatten(F.adaptive_avg_pool2d(feature_map, 1), 1)


class MaxPool(nn.Module):
    """The greatest value; positions that share it share its gradient."""

    def forward(self, feature_map: torch.Tensor) -> torch.Tensor:
        """``(N, C, h, w)`` to ``(N, C)``."""
        return feature_map.amax((2, 3))


class AvgMaxPool(nn.Module):
    """The mean of average and maximum, as timm's ``avgmax``."""

    def forward(self, feature_map: torch.Tensor) -> torch.Tensor:
        """``(N, C, h, w)`` to ``(N, C)``."""
        average = torch.flatten(F.adaptive_avg_pool2d(feature_map, 1), 1)
        return 0.5 * (average + feature_map.amax((2, 3)))


class GeM(nn.Module):
    """Generalised mean ``mean(x ** p) ** (1 / p)`` (Radenovic et al. 2018): p = 1 is the average, p to infinity the
    maximum. Values below ``eps`` count as ``eps``.

    It is computed in float32 at least, as exponentials of logarithms (several times faster than powers on a CPU), on
    values divided by the greatest of their channel, so that no power overflows or vanishes however large p becomes.

    Args:
        p: the exponent at the start, positive.
        trainable: whether p is trained.
    """

    eps = 1e-6

    def __init__(self, p: float = 3.0, trainable: bool = True) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.full((1,), float(p)), requires_grad=trainable)

    def forward(self, feature_map: torch.Tensor) -> torch.Tensor:
        """``(N, C, h, w)`` to ``(N, C)``, float32 at least."""
        x = feature_map.to(torch.promote_types(feature_map.dtype, torch.float32)).clamp(min=self.eps).log()
        # The mean is homogeneous in the map: with the peak as a constant, value and gradient are still exact.
        peak = x.detach().amax((2, 3), keepdim=True)
        mean = torch.flatten(F.adaptive_avg_pool2d((self.p * (x - peak)).exp(), 1), 1)
        return (mean.log() / self.p + torch.flatten(peak, 1)).exp()


_POOLS: dict[Pool, type[nn.Module]] = {"avg": AvgPool, "max": MaxPool, "avg_max": AvgMaxPool}


def build_pool(config: HeadConfig) -> nn.Module:
    """The config's pooling, ``(N, C, h, w)`` to ``(N, C)``."""
    return GeM(config.gem_p, config.gem_trainable) if config.pool == "gem" else _POOLS[config.pool]()


def mean_order(config: HeadConfig) -> float:
    """The p for which the config's pooling is (at the start) the generalised mean; ``avg_max`` counts as a maximum."""
    return {"avg": 1.0, "gem": config.gem_p}.get(config.pool, float("inf"))
