"""Checkpoints: which kind of network is in one, and those that were written before a choice was kept."""

from __future__ import annotations

import pytest
import torch

from reid.engine.runs.checkpoint import read_about, save_weights
from reid.errors import UserError
from supernet.catalog import NetworkSpec, build, spec_to_dict
from supernet.sharing import Sharing
from supernet.space import Space, StageSpace
from supernet.space.genome import smallest
from supernet.supernet import Supernet
from supernet.trained.checkpoint import load_network, load_supernet, read_spec, save_supernet

CPU = torch.device("cpu")
STAGES = (StageSpace(stride=2, widths=(8,), depths=(1, 2), kernels=(3, 5), expands=(1, 2)),)
SPACE = Space(name="small", input_size=(32, 16), stems=(8,), stages=STAGES, last_widths=(16,))


def test_a_supernet_is_no_network(tmp_path):
    path = save_supernet(tmp_path / "supernet.safetensors", Supernet(SPACE))
    for read in (read_spec, lambda file: load_network(file, CPU)):
        with pytest.raises(UserError, match=f"^checkpoint {path} of kind 'supernet' is not a network; .*{path} --arch"):
            read(path)


def test_a_network_whose_training_diverged_is_refused(tmp_path):
    spec = NetworkSpec("x", smallest(SPACE), SPACE.input_size)
    network = build(spec)
    path = save_weights(tmp_path / "last.safetensors", network, spec_to_dict(spec))
    loaded, told = load_network(path, CPU)
    assert told == spec
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    network.head.neck.running_var[3] = float("inf")
    save_weights(path, network, spec_to_dict(spec))
    with pytest.raises(
        UserError, match=r"contains NaN or infinite weights \(head.neck.running_var\): its training div"
    ):
        load_network(path, CPU)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arch": None}, "last.safetensors contains unexpected values"),
        ({"arch": 3}, "last.safetensors contains unexpected values"),
        ({"origin": 3}, "last.safetensors contains unexpected values"),
        ({"origin": ["x"]}, "last.safetensors contains unexpected values"),
        ({"kind": "backbone", "backbone": ["x"], "last_stride": None, "input_size": [32, 16]}, "backbone: name: input"),
        (
            {"kind": "backbone", "backbone": "x", "last_stride": 1, "input_size": None},
            "last.safetensors contains unexpected values",
        ),
        ({"kind": "backbone", "backbone": "x"}, "key 'last_stride' is missing"),
        ({"kind": "zebra"}, "kind 'zebra' is not a network"),
    ],
)
def test_headers_that_describe_no_network(tmp_path, change, said):
    spec = NetworkSpec("x", smallest(SPACE), SPACE.input_size)
    path = save_weights(tmp_path / "last.safetensors", build(spec), spec_to_dict(spec) | change)
    with pytest.raises(UserError, match=said):
        read_spec(path)


@pytest.mark.parametrize("space", [None, 3, ["x"], ...])
def test_a_supernet_without_its_space(tmp_path, space):
    supernet = Supernet(SPACE)
    about = {"kind": "supernet"} if space is ... else {"kind": "supernet", "space": space}
    path = save_weights(tmp_path / "supernet.safetensors", supernet, about)
    with pytest.raises(UserError, match="supernet.safetensors does not say which space .*restore it"):
        load_supernet(path, CPU)


@pytest.mark.parametrize(
    "left_out", [("kernel_transforms",), ("depth_sharing",), ("kernel_transforms", "depth_sharing")]
)
def test_supernets_from_before_there_was_a_choice_of_sharing(tmp_path, left_out):
    supernet = Supernet(SPACE)
    path = save_supernet(tmp_path / "supernet.safetensors", supernet)
    about = read_about(path)
    save_weights(path, supernet, {key: value for key, value in about.items() if key not in left_out})
    assert load_supernet(path, CPU).sharing == supernet.sharing == Sharing(False, "first")
