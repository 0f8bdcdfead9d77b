"""Every backbone by name: shapes of its map, last strides, gradients, and what is said of wrong names."""

from __future__ import annotations

import functools
import importlib.util
import sys
from math import ceil

import pytest
import torch

from reid.errors import UserError
from reid.models.backbones import BACKBONES, build_backbone, timm_backbone
from reid.models.backbones.timm_backbone import TIMM_MODELS

WIDTHS = {
    "resnet18": 512,
    "resnet34": 512,
    "resnet50": 2048,
    "resnet101": 2048,
    "resnet18_ibn_a": 512,
    "resnet34_ibn_a": 512,
    "resnet50_ibn_a": 2048,
    "resnet101_ibn_a": 2048,
    "osnet_x0_25": 128,
    "osnet_x0_42": 216,
    "osnet_x0_5": 256,
    "osnet_x0_75": 384,
    "osnet_x1_0": 512,
    "osnet_ibn_x1_0": 512,
    "osnet_ain_x1_0": 512,
    "mobilenetv3_small_100": 576,
    "mobilenetv3_large_100": 960,
    "efficientnetv2_b0": 1280,
    "efficientnetv2_s": 1280,
}
# Of each family the ordinary run takes two; what the others add is depth.
HEAVY = {name for name in BACKBONES if "34" in name or "101" in name} | {"osnet_x0_75", "efficientnetv2_s"}
ALL = [pytest.param(name, marks=pytest.mark.slow if name in HEAVY else ()) for name in BACKBONES]


@functools.cache
def on_meta(name, last_stride):
    """A backbone that works out shapes without computing anything."""
    if name in TIMM_MODELS:
        pytest.importorskip("timm")
    with torch.device("meta"):
        return build_backbone(name, last_stride)


def map_shape(name, last_stride, size):
    return tuple(on_meta(name, last_stride)(torch.empty(2, 3, *size, device="meta")).shape)


@pytest.mark.parametrize("name", ALL)
def test_map_is_a_32nd_or_a_16th_of_the_image(name):
    kind = BACKBONES[name]
    assert set(kind.last_strides) == ({1} if name.startswith("osnet") else {1, 2})
    for last_stride in kind.last_strides:
        backbone, reduction = on_meta(name, last_stride), 32 if last_stride == 2 else 16
        assert backbone.name == name and backbone.feature_width == WIDTHS[name]
        for size in ((256, 128), (384, 128), (96, 48)):
            wanted = (2, WIDTHS[name], *(ceil(side / reduction) for side in size))
            assert map_shape(name, last_stride, size) == wanted


@pytest.mark.parametrize(
    ("name", "usual"), [("resnet18", 1), ("resnet18_ibn_a", 1), ("osnet_x1_0", 1), ("mobilenetv3_small_100", 2)]
)
def test_usual_last_stride(name, usual):
    assert map_shape(name, None, (256, 128)) == map_shape(name, usual, (256, 128))


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_is_trained(name):
    if name in TIMM_MODELS:
        pytest.importorskip("timm")
    torch.manual_seed(0)
    backbone = build_backbone(name).train()
    features = backbone(torch.randn(4, 3, 64, 32))
    features.square().mean().backward()
    untrained = [key for key, parameter in backbone.named_parameters() if parameter.grad is None]
    assert not untrained and torch.isfinite(features).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in backbone.parameters())


@pytest.mark.parametrize("name", ["resnet18_ibn_a", "osnet_x0_25", "mobilenetv3_small_100"])
def test_seed_decides_the_weights(name):
    if name in TIMM_MODELS:
        pytest.importorskip("timm")
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(torch.cat([value.flatten() for value in build_backbone(name).state_dict().values()]))
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


def test_wrong_names_and_strides():
    with pytest.raises(UserError, match="no backbone is called 'osnet_x10'; nearest: osnet_x1_0"):
        build_backbone("osnet_x10")
    with pytest.raises(UserError, match="no backbone is called '#'; known: resnet18, "):
        build_backbone("#")
    with pytest.raises(UserError, match="last_stride 3: must be 1 or 2 for resnet18"):
        build_backbone("resnet18", 3)
    with pytest.raises(UserError, match="last_stride 2: must be 1 for osnet_x1_0"):
        build_backbone("osnet_x1_0", 2)


def test_only_timms_networks_need_timm(monkeypatch):
    """Where timm cannot be imported, the one file that speaks of it still can."""
    monkeypatch.setitem(sys.modules, "timm", None)
    spec = importlib.util.spec_from_file_location("second_copy", timm_backbone.__file__)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert build_backbone("osnet_x0_25").feature_width == 128
    for name in TIMM_MODELS:
        with pytest.raises(UserError, match=f"backbone '{name}' needs timm: pip install timm"):
            build_backbone(name)
