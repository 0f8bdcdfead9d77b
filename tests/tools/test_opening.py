"""What a long job says before and while it runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from reid.config import load_config
from reid.engine.recipe import Recipe
from tools.jobs.experiment import RECIPES
from tools.jobs.opening import LONG, announce, format_time, recipe_lines, tell_estimate


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


def test_recipe_lines_name_what_decides():
    steps = "60 epochs, pk batches of 16x4, sgd lr 0.05 wd 0.0005, cosine, fp32"
    losses = "1 classification (linear) + 1 triplet (batch_hard, margin 0.3)"
    assert recipe_lines(Recipe()) == [("recipe", steps), ("", None), ("losses", losses)]
    named = recipe_lines(Recipe(source="a paper", averaging={"kind": "ema"}, losses={"triplet": {"margin": None}}))
    losses = "1 classification (linear) + 1 triplet (batch_hard, soft margin); weights averaged (ema)"
    assert named == [("recipe", "a paper"), ("", steps), ("losses", losses)]


def test_a_recipe_that_comes_along_is_named_and_what_changes_it_is_said():
    standard = load_config(Recipe, RECIPES / "standard.yaml")
    assert recipe_lines(standard)[0] == ("recipe", f"standard: {standard.source}")
    assert recipe_lines(replace(standard, sampler="random"))[0] == ("recipe", f"standard, changed: {standard.source}")
