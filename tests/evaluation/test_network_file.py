"""What a user may call a network, and what is said of what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.network_file import network_file
from reid.errors import UserError
from supernet.zoo import FOLDER, zoo_entries


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
    with pytest.raises(UserError, match="it is a supernet's: give .*tools/evaluate.py .*/supernet.safetensors --arch"):
        network_file(tmp_path)


def test_a_folder_of_runs_names_them(tmp_path):
    for name in ("b", "a"):
        touch(tmp_path / name / "last.safetensors")
    with pytest.raises(UserError, match="has no last.safetensors; give one of the runs in it: a, b$"):
        network_file(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no last.safetensors; let its training finish$"):
        network_file(tmp_path / "empty")


def test_names_of_the_zoo(tmp_path, monkeypatch):
    entry = zoo_entries()[0]
    assert network_file(entry.name) == network_file(Path(entry.name.lower())) == FOLDER / entry.weights
    monkeypatch.chdir(tmp_path)
    run = touch(tmp_path / entry.name / "last.safetensors")
    assert network_file(entry.name).resolve() == run, "what is there comes before the zoo"


def test_a_wrong_name_is_answered_with_near_ones():
    name = zoo_entries()[0].name
    with pytest.raises(UserError, match=f"^'{name}x' is no run folder and no file, and in the zoo .*nearest: .*{name}"):
        network_file(f"{name}x")
    with pytest.raises(
        UserError, match="^runs/none does not exist; name a run folder, a file of weights, or a network"
    ):
        network_file("runs/none")
