"""Networks with random weights and tiny synthetic sets that the evaluating tools are tried on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from evaluation.comparison.row import ResultRow, write_result
from reid.data.synthetic import SyntheticConfig, make_synthetic
from reid.engine.runs.checkpoint import save_weights
from supernet.catalog import NetworkSpec, build, spec_to_dict
from supernet.files import load_space
from supernet.space.genome import smallest
from tools.jobs.experiment import CONFIGS


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Two trained networks, as far as their folders tell."""
    folders, root = {}, tmp_path_factory.mktemp("runs")
    arch = smallest(load_space("tiny"))
    for seed, name in enumerate(("first", "second")):
        torch.manual_seed(seed)
        spec = NetworkSpec(name, arch, arch.input_size)
        save_weights(root / name / "last.safetensors", build(spec), spec_to_dict(spec))
        row = ResultRow(
            name, "searched", 0.1, 0.1, 1, 1, None, 1, seed, arch.input_size, f"{name}-set: 9 identities", str(root)
        )
        write_result(root / name, row)
        folders[name] = root / name
    return folders


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    """Two worlds in Market-1501's layout."""
    root = tmp_path_factory.mktemp("sets")
    numbers = {"distractors": 3, "junk": 2, "images_per_camera": 2, "cameras": 3, "size": (64, 32)}
    return {
        name: make_synthetic(
            root / name, SyntheticConfig(train_identities=22, test_identities=5, seed=seed, **numbers), progress=False
        )
        for name, seed in (("north", 5), ("south", 6))
    }


@pytest.fixture(scope="session")
def arguments() -> Callable[..., list[str]]:
    """Makes a command line of ``tools/evaluate.py``, on a set in Market-1501's layout or else on the config's."""

    def make(source: Path, data: Path | None, out: Path, *more: object) -> list[str]:
        config = CONFIGS / "demo.yaml"
        common = ["--config", config, "--device", "cpu", "--set", "data.holdout_identities=6"]
        data_set = ["--dataset", f"market-layout={data}"] if data else []
        return [str(each) for each in (*common, source, *data_set, "--out", out, *more)]

    return make


@pytest.fixture(scope="module")
def saved(runs, sets, tmp_path_factory, load_tool, arguments) -> Path:
    """A first evaluation: all that later ones are compared with."""
    out = tmp_path_factory.mktemp("saved")
    load_tool("evaluate")(arguments(runs["first"], sets["north"], out, "--save-features", out / "features.npz"))
    return out
