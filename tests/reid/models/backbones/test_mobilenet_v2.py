"""torchvision's MobileNetV2 weights in the arch of the same name, with random weights in place of the trained ones."""

from __future__ import annotations

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from reid.errors import UserError
from reid.models.backbones import load_pretrained
from supernet.files import arch_from_rows, mobilenet_v2
from supernet.network import ArchBackbone


@pytest.fixture
def theirs():
    torch.manual_seed(0)
    network = torchvision.models.mobilenet_v2(weights=None).eval()
    for name, value in network.state_dict().items():
        if value.dim() == 1:
            value.uniform_(0.5, 1.5) if name.endswith(("weight", "running_var")) else value.normal_(std=0.1)
    return network


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_output_is_torchvisions(theirs, tmp_path, kind):
    path = tmp_path / f"mobilenet_v2.{kind}"
    save_file(theirs.state_dict(), path) if kind == "safetensors" else torch.save(theirs.state_dict(), path)
    backbone = ArchBackbone(mobilenet_v2()).eval()
    report = load_pretrained(backbone, path)
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        wanted = theirs.features(images)
        torch.testing.assert_close(backbone(images), wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))
    assert len(report.loaded) == 52 * 5 and not report.missing  # 52 convolutions, each with a BN of four tensors
    assert set(report.skipped) == {"classifier.1.weight", "classifier.1.bias"}


def test_other_archs_refuse_them(theirs, tmp_path):
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    backbone = ArchBackbone(arch_from_rows([(1, 16, 1, 1), (6, 24, 2, 2)], input_size=(64, 32)))
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    with pytest.raises(UserError, match="w.pth are of another network: they fill 0 of the backbone's"):
        load_pretrained(backbone, tmp_path / "w.pth")
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_imagenet_means_torchvisions(theirs, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "reid.models.backbones.weights.fetch_state", lambda url, what: asked.append((url, what)) or theirs.state_dict()
    )
    backbone = ArchBackbone(mobilenet_v2())
    assert not load_pretrained(backbone, "imagenet").missing
    assert asked == [("https://download.pytorch.org/models/mobilenet_v2-b0353104.pth", "mobilenetv2")]
    assert torch.equal(backbone.stem.conv.weight, theirs.features[0][0].weight)


def test_searched_archs_have_no_imagenet_weights():
    backbone = ArchBackbone(arch_from_rows([(1, 16, 1, 1), (6, 24, 2, 2)], input_size=(64, 32)))
    with pytest.raises(UserError, match="no ImageNet weights are known for this backbone; give the path of a file"):
        load_pretrained(backbone, "imagenet")
