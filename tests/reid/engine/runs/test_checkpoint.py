"""Weights and states on disk, and what is said of files that are not what they should be."""

from __future__ import annotations

import contextlib
import errno

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from reid.engine.runs.checkpoint import load_state, load_weights, read_about, save_state, save_weights
from reid.errors import UserError


def _network(width: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def test_round_trip(tmp_path):
    network, other = _network(), _network()
    about = {"kind": "test", "name": "ä", "sizes": [1, None]}
    path = save_weights(tmp_path / "w.safetensors", network, about)
    assert read_about(path) == about
    load_weights(path, other)
    state = other.state_dict()
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())


def test_channels_last_weights_round_trip(tmp_path):
    network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    other = nn.Conv2d(3, 4, 3)
    load_weights(save_weights(tmp_path / "w.safetensors", network, {}), other)
    assert torch.equal(network.weight, other.weight)


def _one_line(caught) -> bool:
    return "\n" not in str(caught.value)


def test_another_network(tmp_path):
    path = save_weights(tmp_path / "w.safetensors", _network(3), {})
    other = _network(4)
    before = {key: value.clone() for key, value in other.state_dict().items()}
    with pytest.raises(
        UserError, match=r"another network: 0.bias is \(3,\) in it and \(4,\) in this network"
    ) as caught:
        load_weights(path, other)
    assert _one_line(caught)
    assert all(torch.equal(before[key], value) for key, value in other.state_dict().items())
    with pytest.raises(UserError, match="0.bias is .* in it and missing in this network"):
        load_weights(path, nn.Sequential())


def test_file_that_is_cut_short(tmp_path):
    path = save_weights(tmp_path / "w.safetensors", _network(), {})
    whole = path.read_bytes()
    for size in (0, 4, 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        for read in (read_about, lambda p: load_weights(p, _network())):
            with pytest.raises(UserError, match="w.safetensors is not a readable safetensors file") as caught:
                read(path)
            assert _one_line(caught)


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(UserError, match="none.safetensors does not exist"):
        read_about(tmp_path / "none.safetensors")
    with pytest.raises(UserError, match="not a readable safetensors file"):
        read_about(tmp_path)
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(UserError, match="does not say what network it is"):
        read_about(tmp_path / "foreign.safetensors")
    for about in ("[1]", "{"):
        save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors", {"about": about})
        with pytest.raises(UserError, match="has a damaged header"):
            read_about(tmp_path / "foreign.safetensors")


def test_state_round_trip(tmp_path):
    state = {"epoch": 3, "weights": {"w": torch.arange(3.0)}, "list": [1, 2.5, None]}
    path = save_state(tmp_path / "state.pt", state)
    loaded = load_state(path)
    assert torch.equal(loaded["weights"].pop("w"), state["weights"].pop("w")) and loaded == state


def test_state_executes_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    torch.save({"x": Evil()}, tmp_path / "state.pt")
    with pytest.raises(UserError, match="state.pt"):
        load_state(tmp_path / "state.pt")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"epoch: 3\nloss: 0.5\n" * 9, bytes(np.arange(200, dtype=np.uint8))]
)
def test_state_that_is_none(tmp_path, content):
    (tmp_path / "state.pt").write_bytes(content)
    with pytest.raises(UserError, match="state.pt is not a readable checkpoint") as caught:
        load_state(tmp_path / "state.pt")
    assert _one_line(caught)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_state_that_is_cut_off(tmp_path, share):
    """Where it is longer than the end of an archive can be, torch says "Invalid argument", as if of the call."""
    path = save_state(tmp_path / "state.pt", {"epoch": 3, "weights": torch.zeros(20_000)})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UserError, match="state.pt is not a readable checkpoint; remove it") as caught:
        load_state(path)
    assert _one_line(caught)


def test_state_of_another_kind(tmp_path):
    torch.save([1], tmp_path / "state.pt")
    with pytest.raises(UserError, match="state.pt is not a readable checkpoint"):
        load_state(tmp_path / "state.pt")


def test_state_is_read_onto_the_cpu(tmp_path, monkeypatch):
    """On a GPU it would lie beside the training that it is for."""
    path, real, seen = save_state(tmp_path / "state.pt", {"epoch": 3}), torch.load, []
    monkeypatch.setattr(torch, "load", lambda *args, **how: (seen.append(how["map_location"]), real(*args, **how))[1])
    assert load_state(path) == {"epoch": 3} and seen == ["cpu"]


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError, RuntimeError])  # the last is a CPU's
def test_state_that_there_is_no_room_for_is_not_called_damaged(tmp_path, monkeypatch, error):
    """The cure for a damaged one is to remove it."""
    path = save_state(tmp_path / "state.pt", {"epoch": 3})
    monkeypatch.setattr(torch, "load", lambda *_, **__: (_ for _ in ()).throw(error("out of memory")))
    with pytest.raises(error, match="out of memory"):
        load_state(path)


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = save_weights(tmp_path / "w.safetensors", _network(), {"first": True})
    monkeypatch.setattr(
        "reid.engine.runs.checkpoint.save_file", lambda *arguments: (_ for _ in ()).throw(OSError("full"))
    )
    with pytest.raises(OSError, match="full"):
        save_weights(path, _network(), {"first": False})
    assert read_about(path) == {"first": True} and [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


@contextlib.contextmanager
def _files_of_at_most(size: int):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", ["weights", "state"])
@pytest.mark.parametrize("room", [0, 100, 4096])
def test_a_disk_that_is_full_is_told_as_the_system_tells_it(tmp_path, kind, room):
    """What torch and safetensors raise of themselves is a fault of ours to the tools, with a traceback."""
    big, path = nn.Linear(64, 64), tmp_path / "file"
    with _files_of_at_most(room), pytest.raises(OSError, match="File too large") as caught:
        save_weights(path, big, {}) if kind == "weights" else save_state(path, big.state_dict())
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert list(tmp_path.iterdir()) == []
