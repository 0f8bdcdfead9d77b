"""What a user may call a trained network, what is loaded by it, and what is said of what is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from reid.engine.runs.checkpoint import save_weights
from reid.errors import UserError
from supernet.catalog import NetworkSpec, build, spec_to_dict
from supernet.files import arch_from_rows
from supernet.trained import load_backbone, network_file
from supernet.trained.zoo import FOLDER, zoo_entries


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def test_files_are_themselves_whether_they_are_there_or_not(tmp_path):
    for name in ("a.safetensors", "a.onnx", "a.npz", "a.pth"):
        assert network_file(tmp_path / name) == tmp_path / name
    assert network_file(str(touch(tmp_path / "strange.bin"))) == tmp_path / "strange.bin"


def test_a_run_folder_gives_its_weights(tmp_path):
    weights = touch(tmp_path / "run" / "last.safetensors")
    assert network_file(weights.parent) == network_file(str(weights.parent), supernet=True) == weights


def test_a_run_folder_of_a_supernet_needs_an_arch(tmp_path):
    whole = touch(tmp_path / "supernet.safetensors")
    assert network_file(tmp_path, supernet=True) == whole
    with pytest.raises(UserError, match="has no last.safetensors; give .*supernet.safetensors and --arch NAME"):
        network_file(tmp_path, by_arch=True)
    with pytest.raises(
        UserError, match="it belongs to a supernet: give .*tools/evaluate.py .*/supernet.safetensors --arch"
    ):
        network_file(tmp_path)


def test_a_folder_of_runs_names_them(tmp_path):
    for name in ("b", "a"):
        touch(tmp_path / name / "last.safetensors")
    with pytest.raises(UserError, match="has no last.safetensors; give one of the runs in it: a, b$"):
        network_file(tmp_path)


def test_several_files_are_named_in_the_order_of_their_names(tmp_path):
    for name in ("c.onnx", "a.onnx", "b.onnx", "d.onnx"):
        touch(tmp_path / name)
    with pytest.raises(UserError, match="give one of its files: a.onnx, b.onnx, c.onnx, d.onnx$"):
        network_file(tmp_path)


@pytest.mark.parametrize(
    ("there", "cure"),
    [
        ("config.yaml", "let its training finish$"),
        ("a.onnx", "give one of its files: a.onnx$"),
        (
            "archs/a.yaml",
            r"it belongs to a search: train one of its archs \(python tools/retrain.py --arch NAME --search ",
        ),
        ("score.json", "nothing was trained there; name the run folder of a training$"),
    ],
)
def test_a_folder_of_something_else_says_of_what(tmp_path, there, cure):
    touch(tmp_path / there)
    with pytest.raises(UserError, match=f"has no last.safetensors; {cure}"):
        network_file(tmp_path)


def test_names_of_the_zoo(tmp_path, monkeypatch):
    entry = zoo_entries()[0]
    assert network_file(entry.name) == network_file(Path(entry.name.lower())) == FOLDER / entry.weights
    monkeypatch.chdir(tmp_path)
    run = touch(tmp_path / entry.name / "last.safetensors")
    assert network_file(entry.name).resolve() == run, "what is there comes before the zoo"


def test_a_wrong_name_is_answered_with_near_ones():
    name = zoo_entries()[0].name
    with pytest.raises(
        UserError, match=f"^'{name}x' is neither a run folder nor a file, and in the zoo .*nearest: .*{name}"
    ):
        network_file(f"{name}x")
    with pytest.raises(
        UserError, match="^runs/none does not exist; name a run folder, a file of weights, or a network"
    ):
        network_file("runs/none")


def test_a_network_of_ones_own_is_loaded_by_its_folder_or_its_file(tmp_path):
    arch = arch_from_rows([[1, 8, 1, 1], [3, 8, 1, 2]], input_size=(64, 32), stem=8, last_width=16)
    spec = NetworkSpec("mine", arch, arch.input_size)
    network, images = build(spec).eval(), torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    file = save_weights(tmp_path / "mine" / "last.safetensors", network, spec_to_dict(spec))
    for source in (file.parent, str(file.parent), file):
        loaded = load_backbone(source)
        assert not loaded.training and not any(each.requires_grad for each in loaded.parameters())
        assert torch.equal(loaded(images), network(images))
    for other in ("net.onnx", "features.npz"):
        with pytest.raises(
            UserError, match=f"{other} is not a PyTorch network; evaluation.embedder.Embedder.open takes"
        ):
            load_backbone(touch(tmp_path / other))
