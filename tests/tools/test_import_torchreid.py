"""Whole OSNets in torchreid's files, against its module written out anew with its names of layers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reid.engine.runs.checkpoint import load_weights, read_about
from reid.errors import UserError
from reid.models.backbones import build_backbone
from reid.models.backbones.weights import load_pretrained
from reid.models.heads import HeadConfig
from supernet.catalog import build, spec_from_dict
from supernet.trained.torchreid import load_torchreid


class Conv(nn.Module):
    """``conv`` and ``bn``, and a ReLU unless it is linear."""

    def __init__(self, channels, out, kernel=1, stride=1, linear=False, instance=False):
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.InstanceNorm2d(out, affine=True) if instance else nn.BatchNorm2d(out)
        self.linear = linear

    def forward(self, x):
        x = self.bn(self.conv(x))
        return x if self.linear else x.relu()


class Light(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x):
        return self.bn(self.conv2(self.conv1(x))).relu()


class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, channels // 16, 1), nn.Conv2d(channels // 16, channels, 1)

    def forward(self, x):
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class Block(nn.Module):
    def __init__(self, channels, out, instance=False):
        super().__init__()
        mid = out // 4
        self.conv1 = Conv(channels, mid)
        self.conv2a = Light(mid)
        self.conv2b, self.conv2c, self.conv2d = (nn.Sequential(*(Light(mid) for _ in range(n))) for n in (2, 3, 4))
        self.gate = Gate(mid)
        self.conv3 = Conv(mid, out, linear=True)
        self.downsample = Conv(channels, out, linear=True) if channels != out else None
        self.IN = nn.InstanceNorm2d(out, affine=True) if instance else None

    def forward(self, x):
        y = self.conv1(x)
        y = self.conv3(sum(self.gate(stream(y)) for stream in (self.conv2a, self.conv2b, self.conv2c, self.conv2d)))
        y = y + (x if self.downsample is None else self.downsample(x))
        return (y if self.IN is None else self.IN(y)).relu()


class AinBlock(Block):
    """A block of torchreid's OSNet-AIN, which calls its streams otherwise."""

    def __init__(self, channels, out, instance):
        super().__init__(channels, out)
        mid = out // 4
        del self.conv2a, self.conv2b, self.conv2c, self.conv2d
        self.conv2 = nn.ModuleList(
            nn.ModuleDict({"layers": nn.Sequential(*(Light(mid) for _ in range(n)))}) for n in (1, 2, 3, 4)
        )
        if instance:
            del self.conv3.bn
            self.IN = nn.InstanceNorm2d(out, affine=True)

    def forward(self, x):
        y = self.conv1(x)
        y = sum(self.gate(stream["layers"](y)) for stream in self.conv2)
        y = self.conv3(y) if self.IN is None else self.IN(self.conv3.conv(y))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class TheirAin(nn.Module):
    """torchreid's ``osnet_ain_x1_0``."""

    def __init__(self):
        super().__init__()
        self.conv1 = Conv(3, 64, 7, 2, instance=True)
        self.conv2 = nn.Sequential(AinBlock(64, 256, True), AinBlock(256, 256, True))
        self.pool2 = nn.Sequential(Conv(256, 256), nn.AvgPool2d(2, 2))
        self.conv3 = nn.Sequential(AinBlock(256, 384, False), AinBlock(384, 384, True))
        self.pool3 = nn.Sequential(Conv(384, 384), nn.AvgPool2d(2, 2))
        self.conv4 = nn.Sequential(AinBlock(384, 512, True), AinBlock(512, 512, False))
        self.conv5 = Conv(512, 512)
        self.fc = nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU())
        self.classifier = nn.Linear(512, 751)

    def forward(self, x):
        x = F.max_pool2d(self.conv1(x), 3, 2, 1)
        x = self.pool3(self.conv3(self.pool2(self.conv2(x))))
        return self.fc(self.conv5(self.conv4(x)).mean((2, 3)))


class TheirOSNet(nn.Module):
    def __init__(self, channels=(16, 64, 96, 128), dim=512, instance=False):
        super().__init__()
        stem, first, second, third = channels
        self.conv1 = Conv(3, stem, 7, 2, instance=instance)
        self.conv2 = nn.Sequential(Block(stem, first, instance), Block(first, first, instance), self.transition(first))
        self.conv3 = nn.Sequential(Block(first, second), Block(second, second), self.transition(second))
        self.conv4 = nn.Sequential(Block(second, third), Block(third, third))
        self.conv5 = Conv(third, third)
        self.fc = nn.Sequential(nn.Linear(third, dim), nn.BatchNorm1d(dim), nn.ReLU()) if dim else None
        self.classifier = nn.Linear(dim or third, 751)

    @staticmethod
    def transition(channels):
        return nn.Sequential(Conv(channels, channels), nn.AvgPool2d(2, 2))

    def forward(self, x):
        x = F.max_pool2d(self.conv1(x), 3, 2, 1)
        x = self.conv5(self.conv4(self.conv3(self.conv2(x)))).mean((2, 3))
        return x if self.fc is None else self.fc(x)


def theirs(dim=512, make=TheirOSNet, **options):
    """With weights, shifts and statistics at random."""
    torch.manual_seed(0)
    network = make(**({"dim": dim} if make is TheirOSNet else {}), **options).eval()
    for name, value in network.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            value.normal_(std=0.3)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    return network


@pytest.fixture(scope="module")
def network():
    return theirs()


IMAGES = torch.randn(3, 3, 64, 32, generator=torch.Generator().manual_seed(1))


def test_the_vectors_are_torchreids(network, tmp_path, call, refused):
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 150}, tmp_path / "model.pth.tar-150")
    arguments = tmp_path / "model.pth.tar-150", "--out", tmp_path / "run", "--size", "64x32"
    done = call("import_torchreid", *arguments, tiny=False)
    assert "network: osnet_x0_25-torchreid, 512 numbers, 64x32" in done.out

    path = tmp_path / "run" / "last.safetensors"
    spec = spec_from_dict(read_about(path))
    assert spec.head == HeadConfig(embedding=512, neck="bn", relu=True) and spec.input_size == (64, 32)
    ours = build(spec)
    load_weights(path, ours)
    with torch.no_grad():
        wanted = network(IMAGES)
        torch.testing.assert_close(ours.eval()(IMAGES), wanted, rtol=1e-6, atol=1e-6)
    assert 0.2 < (wanted > 0).float().mean() < 0.8, "the ReLU has something to do"
    refused(
        call("import_torchreid", *arguments, tiny=False), "run already exists and is not empty; give another folder"
    )

    scored = call("evaluate", tmp_path / "run", "--metric", "euclidean", "--out", tmp_path / "score")
    assert scored.code == 0 and "mAP (step)" in scored.out and (tmp_path / "score" / "result.json").is_file()


def test_a_linear_layer_without_a_shift(tmp_path):
    network = theirs()
    network.fc[0].bias = None
    torch.save(network.state_dict(), tmp_path / "w.pth")
    ours, _ = load_torchreid(tmp_path / "w.pth", (64, 32))
    with torch.no_grad():
        torch.testing.assert_close(ours(IMAGES), network(IMAGES), rtol=1e-6, atol=1e-6)


def test_without_fc_the_pooled_vector_is_taken(tmp_path):
    network = theirs(dim=None)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    ours, spec = load_torchreid(tmp_path / "w.pth")
    assert spec.input_size == (256, 128)
    with torch.no_grad():
        torch.testing.assert_close(ours(IMAGES), network(IMAGES), rtol=1e-6, atol=1e-6)


def test_osnet_ibn(tmp_path):
    network = theirs(channels=(64, 256, 384, 512), instance=True)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    ours, spec = load_torchreid(tmp_path / "w.pth", (64, 32))
    assert spec.name == "osnet_ibn_x1_0-torchreid"
    with torch.no_grad():
        torch.testing.assert_close(ours(IMAGES), network(IMAGES), rtol=1e-5, atol=1e-5)


def test_osnet_ain(tmp_path):
    """Its layers have other names there; as ImageNet weights of a backbone such a file is read too."""
    network = theirs(make=TheirAin)
    torch.save({f"module.{name}": value for name, value in network.state_dict().items()}, tmp_path / "w.pth")
    ours, spec = load_torchreid(tmp_path / "w.pth", (64, 32))
    assert spec.name == "osnet_ain_x1_0-torchreid"
    with torch.no_grad():
        torch.testing.assert_close(ours(IMAGES), network(IMAGES), rtol=1e-5, atol=1e-5)
    backbone = build_backbone("osnet_ain_x1_0")
    report = load_pretrained(backbone, tmp_path / "w.pth")
    assert not report.missing and {name.split(".")[1] for name in report.skipped} == {"fc", "classifier"}
    for name, value in ours.backbone.state_dict().items():
        assert torch.equal(backbone.state_dict()[name], value), name


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"conv2.0.IN.weight": torch.ones(64)},
            r"an OSNet with instance normalisation of channels \(16, 64, 96, 128\); give an OSNet .*osnet_ibn_x1_0",
        ),
        (
            {"conv1.conv.weight": torch.ones(24, 3, 7, 7)},
            r"an OSNet of channels \(24, 64, 96, 128\); give an OSNet of torch",
        ),
        ({"conv4.0.conv3.conv.weight": None}, "contains another network; give an OSNet of torchreid: osnet_x0_25"),
        ({"fc.1.running_var": None}, "head.neck.running_var is not there, but .* in the OSNet"),
        ({"fc.0.bias": torch.ones(7)}, r"backbone.fc.0.bias is \(7,\), but not known in the OSNet"),
        ({"fc.3.weight": torch.ones(512, 512)}, "backbone.fc.3.weight is .*, but not known in the OSNet"),
        ({"conv5.bn.bias": torch.ones(7)}, r"backbone.conv5.bn.bias is \(7,\), but \(128,\) in the OSNet"),
    ],
)
def test_other_networks_are_refused(network, tmp_path, change, message):
    state = {name: value for name, value in {**network.state_dict(), **change}.items() if value is not None}
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(UserError, match=message):
        load_torchreid(tmp_path / "w.pth")


def test_a_file_that_is_not_there(call, refused, tmp_path):
    done = call("import_torchreid", tmp_path / "none.pth", "--out", tmp_path / "run", tiny=False)
    refused(done, "none.pth: there is no such file; name a checkpoint of torchreid")
    assert not (tmp_path / "run").exists()
