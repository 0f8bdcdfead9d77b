"""Any of timm's models with a feature map, by its name there: ``timm:resnet50d``, ``timm:convnext_tiny``."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import torch
from torch import nn

from reid.data.prepare import IMAGENET_MEAN, IMAGENET_STD
from reid.errors import UserError, nearest
from reid.models.backbones.timm_backbone import import_timm, renormalisation

PREFIX = "timm:"

PROBE = (256, 128)
"""Height and width of the image that a model is tried on, to see which map it gives."""

SIDES = {2: 32, 1: 16}
"""Image sides over map sides, by last stride."""


class TimmFeatures(nn.Module):
    """A timm model up to its last feature map (``features_only``), with timm's initialisation.

    At last stride 1 timm is asked for ``output_stride=16``: where it supports that for the model, the last stage that
    would halve its map does not, and in ResNets and similar models its filters are dilated to keep their receptive
    field. (``resnet50`` and others without the prefix are not dilated.)

    Args:
        name: ``timm:`` and a name that ``timm.list_models()`` knows, with or without the tag of its weights.
        last_stride: 2 for a map of 1/32 of the image's sides, 1 for 1/16.

    Raises:
        UserError: timm is not installed or has no such model, or the model gives another map (the message says which).
    """

    def __init__(self, name: str, last_stride: int) -> None:
        super().__init__()
        self.name = name
        timm, model = import_timm(name), name.removeprefix(PREFIX)
        if not timm.is_model(model):
            raise UserError(f"backbone '{name}': timm {timm.__version__} has no such model{_nearest(timm, model)}")
        options, self.feature_width = _options(timm, name, last_stride)
        self.trunk = _create(timm, model, options)
        made_for = timm.get_pretrained_cfg(model)
        mean, std = (IMAGENET_MEAN, IMAGENET_STD) if made_for is None else (made_for.mean, made_for.std)
        scale, shift = renormalisation(mean, std)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``(N, 3, H, W)``, normalised as ImageNet images usually are, to ``(N, feature_width, h, w)``."""
        return self.trunk(images * self.scale + self.shift)[0]


def timm_any_url(name: str) -> str:
    """Always raises UserError: the names of timm's files do not tell which were trained on ImageNet-1k alone."""
    made_for = import_timm(name).get_pretrained_cfg(name.removeprefix(PREFIX))
    where = f"https://huggingface.co/{made_for.hf_hub_id}" if made_for and made_for.hf_hub_id else "timm's releases"
    raise UserError(f"weights of {name} are not downloaded; get the file from {where} and give its path")


def _options(timm: ModuleType, name: str, last_stride: int) -> tuple[dict[str, Any], int]:
    """timm's options for a map of that last stride, and its channels."""
    model, wanted = name.removeprefix(PREFIX), SIDES[last_stride]
    try:
        channels, sides = _probe(timm, model, {})
    except Exception as error:  # whatever the model's code raises for an image that it cannot take
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"backbone '{name}': timm gives no feature map of an image of 256x128 ({reason}); use a model that takes"
            " any size, for example timm:resnet50d"
        ) from None
    if sides == wanted:
        return {}, channels
    if sides == SIDES[1]:
        raise UserError(f"last_stride {last_stride}: must be 1 for {name}, whose map has 1/16 of the image's sides")
    if sides != SIDES[2]:
        raise UserError(f"backbone '{name}': its map has 1/{sides} of the image's sides; use a model with 1/32 or 1/16")
    options = {"output_stride": wanted}
    try:
        channels, sides = _probe(timm, model, options)
    except Exception:  # a TypeError or an AssertionError, by the model
        sides = None
    if sides != wanted:
        raise UserError(f"last_stride {last_stride}: must be 2 for {name}, whose strides timm cannot change")
    return options, channels


def _probe(timm: ModuleType, model: str, options: dict[str, Any]) -> tuple[int, int]:
    """Channels of the model's map, and image sides over map sides; on torch's ``meta`` device, so nothing is computed.

    Raises:
        Exception: of any kind, by the model.
    """
    with torch.device("meta"), torch.no_grad():
        shape = _create(timm, model, options).eval()(torch.empty(1, 3, *PROBE))[0].shape
    _, channels, height, width = shape
    if PROBE[0] // height != PROBE[1] // width:
        raise ValueError(f"its map is {height}x{width}")
    return channels, PROBE[0] // height


def _create(timm: ModuleType, model: str, options: dict[str, Any]) -> nn.Module:
    """The model up to its last map: ``getter`` drops the layers after it and keeps timm's names, so its files load."""
    return timm.create_model(
        model, pretrained=False, features_only=True, feature_cls="getter", out_indices=(-1,), **options
    )


def in_timm(model: str) -> bool:
    """Whether timm is installed and has a model of this name."""
    if importlib.util.find_spec("timm") is None:
        return False
    import timm

    return timm.is_model(model)


def _nearest(timm: ModuleType, model: str) -> str:
    close = nearest(model, timm.list_models())
    return close.replace("nearest: ", f"nearest: {PREFIX}").replace(", ", f", {PREFIX}") or "; see timm.list_models()"
