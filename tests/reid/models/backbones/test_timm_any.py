"""Models by timm's own names, against timm; and what is said of those that cannot be taken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from reid.engine.machine.distributed import Processes
from reid.engine.machine.sync_batch_norm import sync_batch_norm
from reid.errors import UserError
from reid.models.backbones import build_backbone, load_pretrained
from supernet.catalog import Backbone, build, find_network, spec_from_dict, spec_to_dict

timm = pytest.importorskip("timm")


@pytest.mark.parametrize(("model", "last_stride"), [("test_resnet", 2), ("test_convnext", 1)])
def test_map_is_timms_and_its_files_load(tmp_path, model, last_stride):
    torch.manual_seed(0)
    theirs = timm.create_model(model, **({"output_stride": 16} if last_stride == 1 else {})).eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    backbone = build_backbone(f"timm:{model}", last_stride).eval()
    assert not load_pretrained(backbone, tmp_path / "theirs.pth").missing
    images = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        wanted = theirs.forward_intermediates(
            images * backbone.scale + backbone.shift, indices=[-1], intermediates_only=True
        )[0]
        torch.testing.assert_close(backbone(images), wanted)
    sides = 32 if last_stride == 2 else 16
    assert wanted.shape == (2, backbone.feature_width, 96 // sides, 64 // sides)


def test_every_parameter_is_trained():
    backbone = build_backbone("timm:test_efficientnet").train()
    backbone(torch.randn(4, 3, 64, 32)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_as_a_network_by_its_name():
    spec, path = find_network("timm:test_resnet", [Path("nowhere")], None, (64, 32), 1)
    assert path is None and spec.backbone == Backbone("timm:test_resnet", 1)
    assert spec_from_dict(spec_to_dict(spec)) == spec
    with torch.device("meta"):
        assert build(spec).backbone(torch.empty(2, 3, 64, 32, device="meta")).shape == (2, 96, 4, 2)


@pytest.mark.parametrize(
    ("name", "last_stride", "message"),
    [
        ("timm:test_resnett", 2, "timm .* has no such model; nearest: timm:test_resnet"),
        ("timm:lcnet_035", 1, "last_stride 1: must be 2 for timm:lcnet_035, whose strides timm cannot change"),
        ("timm:test_vit", 2, "last_stride 2: must be 1 for timm:test_vit, whose map has 1/16 of the image's sides"),
        ("timm:shvit_s1", 2, "its map has 1/64 of the image's sides; use a model with 1/32 or 1/16"),
        ("timm:swin_tiny_patch4_window7_224", 2, r"no feature map of an image of 256x128 \(Input height"),
        ("timm:test_resnet", 3, "last_stride 3: must be 1 or 2 for timm:test_resnet"),
    ],
)
def test_what_cannot_be_taken(name, last_stride, message):
    with torch.device("meta"), pytest.raises(UserError, match=message):
        build_backbone(name, last_stride)


def test_weights_are_not_fetched():
    with torch.device("meta"):
        backbone = build_backbone("timm:test_resnet")
    with pytest.raises(
        UserError, match="are not downloaded; get the file from https://huggingface.co/timm/test_resnet"
    ):
        load_pretrained(backbone, "imagenet")


def test_timm_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match="backbone 'timm:resnet18' needs timm: pip install timm"):
        build_backbone("timm:resnet18")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_bn_over_several_processes_keeps_its_activation(device):
    """timm's BN holds it. In eval mode, where either kind of layer normalises alone."""
    network = nn.Sequential(timm.layers.BatchNormAct2d(4, act_layer=nn.Hardswish), nn.BatchNorm2d(4)).eval()
    x = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    expected, names = network(x), list(network.state_dict())
    together = sync_batch_norm(Processes(0, 2, torch.device(device)), network)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in together)
    assert torch.equal(together(x), expected) and list(together.state_dict()) == names
