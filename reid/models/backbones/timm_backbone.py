"""MobileNetV3 (Howard et al. 2019) and EfficientNetV2 (Tan and Le 2021) from timm, which only they need."""

from __future__ import annotations

from collections import OrderedDict
from types import ModuleType

import torch
from torch import nn

from reid.data.prepare import IMAGENET_MEAN, IMAGENET_STD
from reid.errors import UserError

TIMM_MODELS = {
    "mobilenetv3_small_100": "mobilenetv3_small_100.lamb_in1k",
    "mobilenetv3_large_100": "mobilenetv3_large_100.ra_in1k",
    "efficientnetv2_b0": "tf_efficientnetv2_b0.in1k",
    "efficientnetv2_s": "tf_efficientnetv2_s.in1k",
}
"""timm's names, each with the tag of the weights that were trained on ImageNet-1k alone."""


class TimmBackbone(nn.Module):
    """A timm network up to its last feature map, with timm's initialisation.

    MobileNetV3's layer after pooling (``conv_head``) belongs to the head here; EfficientNetV2's ``conv_head`` is before
    pooling and stays.

    Args:
        name: a name in ``TIMM_MODELS``.
        last_stride: stride of the last stage that has one; 1 doubles the feature map's sides, 2 is the original.

    Raises:
        UserError: timm is not installed.
    """

    def __init__(self, name: str, last_stride: int) -> None:
        super().__init__()
        self.name = name
        model = import_timm(name).create_model(TIMM_MODELS[name], pretrained=False)
        parts = ["conv_stem", "bn1", "blocks", *(["conv_head", "bn2"] if hasattr(model, "bn2") else [])]
        self.trunk = nn.Sequential(OrderedDict((part, getattr(model, part)) for part in parts))
        self.feature_width: int = model.num_features
        if last_stride == 1:
            _set_last_stride_one(self.trunk)
        scale, shift = renormalisation(model.pretrained_cfg["mean"], model.pretrained_cfg["std"])
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``(N, 3, H, W)``, normalised as ImageNet images usually are, to ``(N, feature_width, h, w)``."""
        return self.trunk(images * self.scale + self.shift)


def _set_last_stride_one(trunk: nn.Module) -> None:
    strided = [layer for layer in trunk.modules() if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2)]
    strided[-1].stride = (1, 1)


def renormalisation(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift ``(3, 1, 1)`` from images normalised with ImageNet's mean and deviation to those the weights
    were trained on: EfficientNetV2-S has 0.5 and 0.5."""
    usual_mean, usual_std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    wanted_mean, wanted_std = torch.tensor(mean), torch.tensor(std)
    scale, shift = usual_std / wanted_std, (usual_mean - wanted_mean) / wanted_std
    return scale.view(3, 1, 1), shift.view(3, 1, 1)


def timm_imagenet_url(name: str) -> str:
    """Where timm publishes ImageNet-1k weights of ``name``.

    Raises:
        UserError: timm is not installed.
    """
    return import_timm(name).get_pretrained_cfg(TIMM_MODELS[name]).url


def import_timm(name: str) -> ModuleType:
    """The module timm; raises UserError, which names the backbone, if it is not installed."""
    try:
        import timm
    except ImportError:
        raise UserError(f"backbone '{name}' needs timm: pip install timm") from None
    return timm
