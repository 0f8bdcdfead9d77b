"""What a long job says before and while it runs."""

from __future__ import annotations

import pytest
import torch

from tools.jobs.words.opening import LONG, announce, format_time, tell_estimate


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (4.4, "4 s"),
        (89.0, "89 s"),
        (90.0, "2 min"),
        (1500.0, "25 min"),
        (12000.0, "3 h 20 min"),
        (5400.0, "1 h 30 min"),
    ],
)
def test_format_time(seconds, text):
    assert format_time(seconds) == text


def test_long_training_on_a_cpu_names_the_cpu_configs(capsys):
    tell_estimate(torch.device("cpu"))(LONG + 60)
    said = capsys.readouterr().out
    assert "about 2 h 31 min" in said and "configs/market1501-cpu.yaml" in said and "configs/demo.yaml" in said


@pytest.mark.parametrize(("device", "seconds"), [("cpu", LONG - 60), ("cuda", LONG * 4)])
def test_short_training_or_a_gpu_is_told_the_time_only(device, seconds, capsys):
    tell_estimate(torch.device(device))(seconds)
    said = capsys.readouterr().out
    assert "estimate" in said and "market1501-cpu" not in said


def test_opening_leaves_out_what_is_not_known(capsys):
    announce("doing a job", [("data", "a set"), ("note", None), ("FLOPs", "1.0M")])
    assert capsys.readouterr().out.splitlines() == ["doing a job", "  data      a set", "  FLOPs     1.0M"]
