"""``ReidNetwork``: backbone and head together; what every tool trains, evaluates and exports."""

from __future__ import annotations

import torch
from torch import nn

from reid.models.heads import HeadOutput
from reid.precision import full_precision


class ReidNetwork(nn.Module):
    """A backbone that gives a feature map, and a head that makes a vector of it.

    Args:
        backbone: ``(N, 3, H, W)`` to ``(N, C, h, w)``.
        head: ``(N, C, h, w)`` to a ``HeadOutput``; see ``reid.models.heads.build_head``.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    @property
    def feature_dim(self) -> int:
        """Length ``D`` of the vectors."""
        return self.head.dim

    def outputs(self, images: torch.Tensor) -> HeadOutput:
        """All that the head gives, for training: ``(N, 3, H, W)`` to a ``HeadOutput``, whose vectors may differ in
        length and number."""
        return head_outputs(self.head, self.backbone(images))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The embedding that persons are compared by: ``(N, 3, H, W)`` to ``(N, D)``."""
        return self.outputs(images).embedding


def head_outputs(head: nn.Module, feature_map: torch.Tensor) -> HeadOutput:
    """Outputs of ``head`` for a ``(N, C, h, w)`` map, computed in float32 where the map has half precision.

    What distinguishes images is small beside what they share: pooled and normalised in bf16, features that lie 0.05
    apart at a norm of 17 differ as much by rounding as by their images. A head costs next to nothing.
    """
    device = feature_map.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return _in_full_precision(feature_map, head)
    return head(feature_map)


@full_precision
def _in_full_precision(feature_map: torch.Tensor, head: nn.Module) -> HeadOutput:
    return head(feature_map)


def count_parameters(network: nn.Module) -> int:
    """Parameters of a network (weights and biases, BN included; buffers not)."""
    return sum(parameter.numel() for parameter in network.parameters())
