"""A space of omni-scale blocks through every tool: supernet, search, explanation, retraining, export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from evaluation.comparison.row import read_result
from reid.engine.runs.checkpoint import read_about
from search.costs import whole_network_flops
from supernet.catalog import spec_from_dict
from supernet.files import load_arch, load_space
from supernet.space.genome import contains
from supernet.trained.checkpoint import load_supernet

SPACE = """
input_size: [64, 32]
stems: [8, 12]
stem_kernels: [3, 7]
stem_pool: true
stages:
  - block: omni-scale
    stride: 2
    widths: [16, 24]
    depths: [1, 2]
    hidden: [8, 16]
    streams: [2, 3]
    kernels: [3, 5]
    transition: [false, true]
  - {block: omni-scale, stride: 1, widths: [24, 32], depths: [1], hidden: [16], streams: [2, 4], kernels: [3]}
last_widths: [32, 64]
embedding: null
"""
LIMIT = ("--flops", "2M")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("omni")
    (folder / "omni.yaml").write_text(SPACE)
    return folder


@pytest.fixture
def go(call, root):
    """Runs a tool on the space, into the folder of the tool's name; the earlier tools have run before."""

    def run(name: str, *arguments: object, out: str | None = None):
        space = ("--set", f"space={root / 'omni.yaml'}")
        done = call(name, *space, "--out", root / (out or name), *arguments)
        assert done.code == 0, done.err
        return done

    return run


def test_every_tool_takes_the_space(go, root):
    go("train_supernet", "--set", "supernet.kernel_transforms=true")
    space = load_space(str(root / "omni.yaml"))
    assert load_supernet(root / "train_supernet" / "supernet.safetensors", torch.device("cpu")).space == space

    more = ("--set", "search={trials: 17, population: 8, screen: 2, screen_after: 16, top_k: 1}")
    go("search", "--supernet", root / "train_supernet", *LIMIT, *more)
    named = load_arch(root / "search" / "archs" / "MLR-2M-A.yaml")
    assert contains(space, named.arch) and named.origin["flops"] == whole_network_flops(named.arch) <= 2_000_000
    printed = go("search", "--explain").out
    effects = json.loads((root / "search" / "effects.json").read_text())
    assert {each["name"] for each in effects["dimensions"]} == {
        name for name, options in space.dimensions().items() if len(options) > 1
    }
    assert "s1.b1.hidden" in printed

    go("retrain", "--arch", "MLR-2M-A", "--search", root / "search")
    assert read_result(root / "retrain").flops == whole_network_flops(named.arch)
    assert spec_from_dict(read_about(root / "retrain" / "last.safetensors")).backbone == named.arch


@pytest.mark.slow
def test_rank_and_gain_take_the_space(go, root):
    supernet = root / "train_supernet"
    go("rank", "--supernet", supernet, "--n", "4", "--repeats", "1")
    assert len(json.loads((root / "rank" / "ranking.json").read_text())["archs"]) == 4
    go("gain", "--search", root / "search", "--random", "1", "--repeats", "1", "--baselines")
    inherit = ("--inherit", supernet)
    go("retrain", "--arch", "MLR-2M-A", "--search", root / "search", *inherit, out="inherited")
