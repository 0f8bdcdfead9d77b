"""What is found wrong with a search's limits before anything is opened or measured."""

from __future__ import annotations

import pytest
import torch

import tools.jobs.search.job
from reid.errors import UserError
from search.config import SearchConfig
from supernet.files import load_space
from tools.jobs.search.job import halved
from tools.jobs.search.options import check_limits


def test_costs_at_one_size_of_a_space_of_several_are_refused_before_latency_is_measured():
    config = SearchConfig(flops=None, latency="5ms", target="onnx-cpu-1t", cost_input_size=(64, 32))
    with pytest.raises(UserError, match="space tiny-plus chooses among input sizes: leave search.cost_input_size out"):
        check_limits(load_space("tiny-plus"), config)


def test_a_search_is_kept_with_the_precision_that_its_device_gives():
    """So that one begun on a GPU is not gone on with in another precision on a CPU."""
    auto, cuda, cpu = SearchConfig(), torch.device("cuda"), torch.device("cpu")
    assert halved(auto, cuda) == {"precision": "fp16"} and halved(auto, cpu) == {}
    assert halved(SearchConfig(precision="bf16"), cpu) == {"precision": "bf16"}


def test_a_taken_folder_is_refused_before_anything_is_measured(call, refused, supernet_run, tmp_path, monkeypatch):
    def measured(*_):
        raise AssertionError("a latency table was measured")

    monkeypatch.setattr(tools.jobs.search.job, "_latency_table", measured)
    monkeypatch.setattr(tools.jobs.search.job, "_open", measured)
    (tmp_path / "candidates.jsonl").write_text("")
    options = ("--supernet", supernet_run, "--latency", "5ms", "--target", "onnx-cpu-1t", "--out", tmp_path)
    refused(call("search", *options), "already holds a search; go on with --resume")
