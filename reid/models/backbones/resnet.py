"""ResNet (He et al. 2016) from torchvision's trunk, plain or with IBN-a, and with the last stride that ReID chooses."""

from __future__ import annotations

import torch
from torch import nn

from reid.models.backbones.ibn import use_ibn_a

IBN_A_URLS = {
    name: f"https://github.com/XingangPan/IBN-Net/releases/download/v1.0/{name}-{digest}.pth"
    for name, digest in {
        "resnet18_ibn_a": "2f571257",
        "resnet34_ibn_a": "94bc1577",
        "resnet50_ibn_a": "d9d0bb7b",
        "resnet101_ibn_a": "59ea0ac6",
    }.items()
}
"""ImageNet weights that the authors of IBN-Net published."""


class ResNetBackbone(nn.Module):
    """torchvision's ResNet up to its last feature map, initialised as torchvision does (Kaiming normal, fan out).

    Args:
        name: ``resnet18``, ``resnet34``, ``resnet50``, ``resnet101``, or one of them with ``_ibn_a`` behind it.
        last_stride: stride of the last stage; 1 doubles the feature map's sides (Sun et al. 2018), 2 is the original.
    """

    def __init__(self, name: str, last_stride: int) -> None:
        super().__init__()
        import torchvision  # here, since it takes as long to import as all else together, and few networks are ResNets

        self.name = name
        trunk = torchvision.models.get_model(name.removesuffix("_ibn_a"), weights=None)
        self.feature_width: int = trunk.fc.in_features
        if name.endswith("_ibn_a"):
            use_ibn_a([trunk.layer1, trunk.layer2, trunk.layer3])
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


def resnet_imagenet_url(name: str) -> str:
    """Where ImageNet weights of ``name`` are published: torchvision's first version (``IMAGENET1K_V1``), which the
    published ReID results start from, or IBN-Net's."""
    if name in IBN_A_URLS:
        return IBN_A_URLS[name]
    import torchvision

    return torchvision.models.get_model_weights(name).IMAGENET1K_V1.url
