"""Pretrained weights from files as tools write them; what is refused leaves the network as it was."""

from __future__ import annotations

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from reid.engine.runs.checkpoint import save_weights
from reid.errors import UserError
from reid.models.backbones import BACKBONES, build_backbone, load_pretrained
from reid.models.backbones.osnet import UNPUBLISHED
from reid.models.backbones.timm_backbone import TIMM_MODELS


@pytest.fixture(scope="module")
def published():
    torch.manual_seed(0)
    return torchvision.models.resnet18(weights=None).state_dict()


def trunk_of(state):
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def assert_filled(backbone, state):
    own = backbone.trunk.state_dict()
    assert all(torch.equal(own[name], value) for name, value in trunk_of(state).items())


FORMS = {
    "plain": lambda state: state,
    "data-parallel": lambda state: {f"module.{name}": value for name, value in state.items()},
    "torchreid": lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 60},
    "fastreid": lambda state: {"model": {f"backbone.{name}": value for name, value in state.items()}},
    "bag-of-tricks": lambda state: {f"base.{name}": value for name, value in state.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_files_as_other_tools_write_them(published, tmp_path, form):
    torch.save(FORMS[form](published), tmp_path / "w.pth")
    backbone = build_backbone("resnet18")
    report = load_pretrained(backbone, tmp_path / "w.pth")
    assert_filled(backbone, published)
    assert len(report.loaded) == 20 * 5 and not report.missing  # 20 convolutions, each with a BN of four tensors
    assert [name.rpartition("fc.")[2] for name in report.skipped] == ["weight", "bias"]


def test_safetensors_and_our_own_checkpoints(published, tmp_path):
    save_file(published, tmp_path / "theirs.safetensors")
    first, second = build_backbone("resnet18"), build_backbone("resnet18")
    load_pretrained(first, str(tmp_path / "theirs.safetensors"))
    assert_filled(first, published)
    network = torch.nn.ModuleDict({"backbone": first, "head": torch.nn.Linear(512, 64)})
    save_weights(tmp_path / "ours.safetensors", network, {"kind": "test"})
    report = load_pretrained(second, tmp_path / "ours.safetensors")
    assert_filled(second, published)
    assert set(report.skipped) == {"head.weight", "head.bias"}


def test_a_head_of_many_tensors_is_no_deeper_network(tmp_path):
    """A run's stripes have dozens, and its backbone is whole all the same; a deeper one's blocks are still refused."""
    small, deep = build_backbone("resnet18"), build_backbone("resnet34")
    stripes = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(30))
    for backbone, file in ((small, "small"), (deep, "deep")):
        network = torch.nn.ModuleDict({"backbone": backbone, "head": stripes})
        save_weights(tmp_path / f"{file}.safetensors", network, {"kind": "test"})
    report = load_pretrained(build_backbone("resnet18"), tmp_path / "small.safetensors")
    assert not report.missing and len(report.skipped) == 60
    with pytest.raises(UserError, match=r"80 of their 180 tensors .*, backbone\.trunk\.layer1"):
        load_pretrained(small, tmp_path / "deep.safetensors")


def test_files_without_bns_counters(published, tmp_path):
    """Files from before torch 0.4.1."""
    torch.save({k: v for k, v in published.items() if "num_batches" not in k}, tmp_path / "old.pth")
    assert not load_pretrained(build_backbone("resnet18"), tmp_path / "old.pth").missing


def test_a_few_missing_tensors_are_reported(published, tmp_path):
    """Those of the last block's BN are gone, and one convolution is of another shape: 95 of 100 are filled."""
    state = {name: value for name, value in trunk_of(published).items() if not name.startswith("layer4.1.bn2.")}
    state["layer4.1.conv2.weight"] = torch.zeros(1, 512, 3, 3)
    torch.save(state, tmp_path / "w.pth")
    backbone = build_backbone("resnet18")
    kept = backbone.trunk.layer4[1].conv2.weight.clone()
    report = load_pretrained(backbone, tmp_path / "w.pth")
    assert report.missing[0] == "trunk.layer4.1.conv2.weight" and len(report.missing) == 5
    assert report.skipped == ("layer4.1.conv2.weight",)
    assert torch.equal(backbone.trunk.layer4[1].conv2.weight, kept)
    assert str(report) == (
        "95 of 100 tensors loaded; not in the source: trunk.layer4.1.conv2.weight, trunk.layer4.1.bn2.weight,"
        " trunk.layer4.1.bn2.bias, trunk.layer4.1.bn2.running_mean and 1 more; unused: layer4.1.conv2.weight"
    )


REFUSALS = {
    (
        "resnet34",
        "resnet18",
    ): r"fill 100 of the backbone's 180 .* trunk.layer1.2.conv1.weight: \(64,.*\) in the backbone, none in the file$",
    ("resnet18", "resnet34"): r"80 of their 180 tensors have no place in the backbone, layer1.2.conv1.weight the first",
    (
        "resnet18_ibn_a",
        "resnet18",
    ): r"fill 76 of .* 112 .* trunk.layer1.0.bn1.IN.weight: \(32,\) in the backbone, none in the file$",
    ("osnet_x0_25", "resnet18"): r"fill 0 of the backbone's 479 ",
}


@pytest.mark.parametrize(("name", "source"), REFUSALS)
def test_other_networks_are_refused(tmp_path, name, source):
    torch.save(trunk_of(torchvision.models.get_model(source, weights=None).state_dict()), tmp_path / "w.pth")
    backbone = build_backbone(name)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(UserError, match=r"w\.pth are of another network: .*" + REFUSALS[name, source]):
        load_pretrained(backbone, tmp_path / "w.pth")
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_other_widths_are_refused(tmp_path):
    torch.save(build_backbone("osnet_x0_5").state_dict(), tmp_path / "w.pth")
    with pytest.raises(
        UserError, match=r"conv1.conv.weight: \(16, 3, 7, 7\) in the backbone, \(32, 3, 7, 7\) in the file"
    ):
        load_pretrained(build_backbone("osnet_x0_25"), tmp_path / "w.pth")


def test_torchreids_files_fill_osnet(tmp_path):
    """``fc`` and ``classifier`` of such a file are left over."""
    torch.manual_seed(0)
    other = build_backbone("osnet_x0_25")
    rest = {
        "fc.0.weight": torch.zeros(512, 128),
        "fc.1.running_mean": torch.zeros(512),
        "classifier.bias": torch.zeros(9),
    }
    torch.save({f"module.{name}": value for name, value in (other.state_dict() | rest).items()}, tmp_path / "w.pth")
    backbone = build_backbone("osnet_x0_25")
    report = load_pretrained(backbone, tmp_path / "w.pth")
    assert report.skipped == tuple(f"module.{name}" for name in rest)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in backbone.state_dict().items())


@pytest.mark.parametrize(
    ("source", "name", "words"),
    [
        ("osnet_x1_0", "osnet_ibn_x1_0", "they lack instance normalisation, which the backbone has"),
        ("osnet_ibn_x1_0", "osnet_x1_0", "they have instance normalisation, which the backbone lacks"),
        ("osnet_ain_x1_0", "osnet_x1_0", "they have instance normalisation, which the backbone lacks"),
        ("osnet_ain_x1_0", "osnet_ibn_x1_0", "they have instance normalisation in other places"),
    ],
)
def test_osnet_with_and_without_instance_normalisation(tmp_path, source, name, words):
    """They differ in some of 481 tensors, so few that the shares let each pass for the other."""
    torch.save(build_backbone(source).state_dict(), tmp_path / "w.pth")
    with pytest.raises(UserError, match=rf"w\.pth are of another network: {words}"):
        load_pretrained(build_backbone(name), tmp_path / "w.pth")
    assert not load_pretrained(build_backbone(source), tmp_path / "w.pth").missing


class Other:
    """Something that a pickle can hold and that has no place among weights."""


def test_files_that_hold_no_weights(tmp_path):
    backbone = build_backbone("osnet_x0_25")
    torch.save({"state_dict": {"a": torch.zeros(1)}, "settings": Other()}, tmp_path / "objects.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "text.pth").write_text("no weights here")
    (tmp_path / "text.safetensors").write_text("no weights here")
    (tmp_path / "nothing.pth").write_bytes(b"")
    torch.save(backbone.state_dict(), tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    unreadable = "not a readable file of tensors"
    messages = {
        "objects.pth": "contain Python objects besides tensors; save the state dict alone",
        "empty.pth": "there is no state dict in it",
        "list.pth": "there is no state dict in it",
        "text.pth": unreadable,
        "text.safetensors": unreadable,
        "nothing.pth": unreadable,
        "cut.pth": unreadable,
        "gone.pth": "there is no such file; give 'imagenet', or a .safetensors or .pth file",
    }
    for file, message in messages.items():
        with pytest.raises(UserError, match=message) as caught:
            load_pretrained(backbone, tmp_path / file)
        assert file in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_there_is_no_room_for_is_not_called_damaged(tmp_path, monkeypatch):
    backbone = build_backbone("osnet_x0_25")
    torch.save(backbone.state_dict(), tmp_path / "whole.pth")

    def refused(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.")

    monkeypatch.setattr(torch, "load", refused)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        load_pretrained(backbone, tmp_path / "whole.pth")


@pytest.mark.parametrize("name", BACKBONES)
def test_imagenet_asks_for_the_networks_own_weights(name, monkeypatch):
    """The file's name begins with the network's and ends with the digits of its SHA-256, which are checked."""
    if name in TIMM_MODELS:
        pytest.importorskip("timm")
    asked = []

    def fetch(url, what):
        asked.append((url, what))
        raise UserError("stop here")

    monkeypatch.setattr("reid.models.backbones.weights.fetch_state", fetch)
    backbone = torch.nn.Module()
    backbone.name = name  # the name alone decides
    if name.startswith("osnet"):
        cure = "train it from scratch" if name in UNPUBLISHED else f"get {name}_imagenet.pth from torchreid's model zoo"
        with pytest.raises(UserError, match=cure):
            load_pretrained(backbone, "imagenet")
        return
    with pytest.raises(UserError, match="stop here"):
        load_pretrained(backbone, "imagenet")
    (url, what), file = asked[0], asked[0][0].rpartition("/")[2]
    assert what == name and url.startswith("https://")
    stem, _, digest = file.removesuffix(".pth").rpartition("-")
    assert len(digest) == 8 and int(digest, 16) and stem.removeprefix("tf_").startswith(name)


def test_imagenet_weights_fill_the_backbone(published, monkeypatch):
    monkeypatch.setattr("reid.models.backbones.weights.fetch_state", lambda url, what: published)
    backbone = build_backbone("resnet18")
    assert load_pretrained(backbone, "imagenet").skipped == ("fc.weight", "fc.bias")
    assert_filled(backbone, published)
