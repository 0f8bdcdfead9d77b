"""IBN-a: instance and batch normalisation side by side (Pan et al. 2018, "Two at Once", IBN-Net)."""

from __future__ import annotations

import torch
from torch import nn

from reid.errors import UserError


class AffineInstanceNorm(nn.InstanceNorm2d):
    """Instance normalisation with a trained scale and shift.

    Args:
        channels: channels ``C``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, C, h, w)`` to the same shape.

        Raises:
            UserError: the map has one pixel, which has no spread.
        """
        if x.shape[2] * x.shape[3] == 1:
            raise UserError("instance normalisation needs a map of more than one pixel; use larger images (input_size)")
        return super().forward(x)


class IBN(nn.Module):
    """Instance normalisation of the first half of the channels, BN of the rest.

    Instance normalisation removes what is specific to one image (brightness, colour cast of a camera), BN keeps what
    distinguishes contents. The two layers are called ``IN`` and ``BN`` as in the published weights.

    Args:
        channels: channels ``C``; where it is odd, BN has one more.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.half = channels // 2
        self.IN = AffineInstanceNorm(self.half)
        self.BN = nn.BatchNorm2d(channels - self.half)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, C, h, w)`` to the same shape; ``h * w`` must be more than 1."""
        instance, batch = x[:, : self.half], x[:, self.half :]
        return torch.cat((self.IN(instance), self.BN(batch)), dim=1)


def use_ibn_a(stages: list[nn.Sequential]) -> None:
    """Puts ``IBN`` in place of the first BN of every residual block of torchvision's ResNet ``stages``.

    IBN-Net's code does so in ``layer1`` to ``layer3``; ``layer4`` keeps BN, since its features must distinguish
    contents.
    """
    for stage in stages:
        for block in stage:
            block.bn1 = IBN(block.bn1.num_features)
