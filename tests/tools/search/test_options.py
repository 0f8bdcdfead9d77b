"""What is found wrong with a search's limits before anything is opened or measured."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tools.jobs.search.job
from reid.data.records import Dataset, ImageSet
from reid.errors import UserError
from search.config import SearchConfig
from search.limits import Limits
from search.scoring.committee import Committee
from search.workers import Team
from supernet.files import load_space
from tools.jobs.data import SearchData, Source
from tools.jobs.search.job import halved
from tools.jobs.search.options import check_limits
from tools.jobs.search.words import Opened, opening_lines


def test_costs_at_one_size_of_a_space_of_several_are_refused_before_latency_is_measured():
    config = SearchConfig(flops=None, latency="5ms", target="onnx-cpu-1t", cost_input_size=(64, 32))
    with pytest.raises(UserError, match="space tiny-plus chooses among input sizes; leave search.cost_input_size out"):
        check_limits(load_space("tiny-plus"), config)


def test_limits_are_told_with_every_size_that_archs_are_counted_at(make_job, tmp_path):
    image = ImageSet(torch.zeros(1, 4, 2, 3, dtype=torch.uint8), *torch.zeros(2, 1).long())
    source, images = Source(Dataset("synthetic", (), (), ()), Path("cache")), SearchData(image, image, image)
    for space, size, told in (("tiny-plus", "null", "48x24 or 64x32"), ("tiny", "[128, 64]", "128x64")):
        opened = Opened(load_space(space), source, images, Committee(()))
        job = make_job(tmp_path, f"space={space}", f"search.cost_input_size={size}")
        lines = opening_lines(job, opened, Limits(flops=6_000_000), "evolution", [tmp_path], Team(), [])
        assert dict(lines)["limits"] == f"at most 6M FLOPs at {told}"


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
