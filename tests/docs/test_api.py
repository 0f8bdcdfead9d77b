"""The samples of docs/api.md run as they stand, one after the other, in a folder of their own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import tools.jobs.data
from evaluation.comparison.row import read_result
from reid.engine.runs.run_folder import read_metrics
from supernet.trained.checkpoint import load_network

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> dict[str, object]:
    """What the samples leave behind."""
    text = PAGE.read_text(encoding="utf-8")
    samples = list(re.finditer(r"```python\n(.*?)```", text, re.DOTALL))
    assert len(samples) == 6
    names: dict[str, object] = {}
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(tools.jobs.data, "ROOT", folder)
        patch.delenv("REID_DATA", raising=False)
        for sample in samples:
            line = text[: sample.start(1)].count("\n")
            exec(compile("\n" * line + sample[1], str(PAGE), "exec"), names)  # a traceback names the page's line
    return {**names, "folder": folder}


def test_a_network_and_vectors(names):
    assert names["features"].shape == (2, 216)
    np.testing.assert_allclose(names["vectors"], names["same"], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(names["vectors"], axis=1), 1, atol=1e-5)


def test_spaces_and_counts(names):
    low, high = names["least"], names["most"]
    assert low < names["counts"].flops < high
    assert names["load_arch"](names["folder"] / "runs" / "mine.yaml").arch == names["arch"]
    # By hand: 2 stems, 2 widths of the first stage; the second's 2 widths, and 2 kernels and 2 expansions a block.
    assert names["count_archs"](names["mine"]) == 2 * 2 * 2 * (4 + 16)


def test_a_supernet_a_search_and_a_training(names):
    found, best = names["found"], names["best"]
    assert best.flops <= 6_000_000 and 0 <= best.score <= 1 and len(found.candidates) == 6
    row = read_result(names["folder"] / names["trained"])
    assert 0 <= row.mAP <= 1 and row.epochs == 1
    assert names["network"].input_size == (64, 32)


def test_an_evaluation_of_ones_own(names):
    """The best weights are the only epoch's, so the shop's score of what was kept is the recorded one."""
    kept, _ = load_network(names["folder"] / names["run"] / "best.safetensors", torch.device("cpu"))
    (record,) = read_metrics(names["folder"] / names["run"])
    assert names["in_the_shop"](kept) == {"shop_mAP": record["shop_mAP"], "shop_rank1": record["shop_rank1"]}


def test_scores(names):
    assert 0.5 < names["score"].mAP <= 1 and names["distances"].shape == (5, 15)
