"""ResNet baselines (He et al. 2016) from torchvision's trunk, with the last stride that ReID work chooses."""

from __future__ import annotations

import torch
import torchvision
from torch import nn

from reid.errors import UserError, nearest
from reid.models.heads import BNNeckHead
from reid.models.network import ReidNetwork

RESNETS = {
    "resnet18": torchvision.models.resnet18,
    "resnet34": torchvision.models.resnet34,
    "resnet50": torchvision.models.resnet50,
}


class ResNetBackbone(nn.Module):
    """torchvision's ResNet up to its last feature map.

    Args:
        depth: a name in ``RESNETS``.
        last_stride: stride of the last stage; 1 doubles the feature map's sides (Sun et al. 2018), 2 is the original.
    """

    def __init__(self, depth: str, last_stride: int) -> None:
        super().__init__()
        trunk = RESNETS[depth](weights=None)
        self.feature_width = trunk.fc.in_features
        if last_stride == 1:
            _set_stride_one(trunk.layer4[0])
        del trunk.avgpool, trunk.fc
        self.trunk = trunk

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``(N, 3, H, W)`` to ``(N, feature_width, h, w)``."""
        t = self.trunk
        x = t.maxpool(t.relu(t.bn1(t.conv1(images))))
        return t.layer4(t.layer3(t.layer2(t.layer1(x))))


def _set_stride_one(block: nn.Module) -> None:
    for conv in (block.conv1, block.conv2, block.downsample[0]):
        conv.stride = (1, 1)


def build_resnet(name: str, last_stride: int = 1, embedding: int | None = None) -> ReidNetwork:
    """A ResNet with the BNNeck head and fresh weights.

    Raises:
        UserError: the name is not in ``RESNETS``, or ``last_stride`` is not 1 or 2.
    """
    if name not in RESNETS:
        raise UserError(f"no ResNet is called '{name}'{nearest(name, RESNETS)}")
    if last_stride not in (1, 2):
        raise UserError(f"last_stride {last_stride}: must be 1 or 2")
    backbone = ResNetBackbone(name, last_stride)
    return ReidNetwork(backbone, BNNeckHead(backbone.feature_width, embedding))
