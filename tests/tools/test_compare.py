"""Runs that were trained once and runs that are a mean over seeds, in one table and one page."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from evaluation.comparison.repeats import mean_row
from evaluation.comparison.row import ResultRow, read_result, write_result
from reid.config import config_to_dict, load_config
from reid.engine.recipe import Recipe
from reid.engine.recipe.scaling import at_epochs
from reid.engine.runs.checkpoint import save_weights
from reid.engine.runs.run_folder import append_metrics
from reid.errors import UserError
from supernet.catalog import build, find_network, spec_to_dict
from tools.jobs.compare import compare
from tools.jobs.experiment import RECIPES
from tools.jobs.runs.data import with_effect

ROW = ResultRow("resnet18", "baseline", 0.5, 0.7, 10**8, 10**7, 1e4, 2, 0, (64, 32), "persons", "runs/x")
RECIPE = config_to_dict(at_epochs(load_config(Recipe, RECIPES / "mlr.yaml"), 2))
COMMAND = "python tools/retrain.py --arch resnet18 --repeats 2"


@pytest.fixture
def runs(tmp_path):
    spec, _ = find_network("osnet_x0_25", [], (64, 32), (64, 32), None)
    folders = [tmp_path / "once", tmp_path / "mean" / "seed-0", tmp_path / "mean" / "seed-1"]
    rows = [dataclasses.replace(ROW, seed=seed, mAP=0.5 + seed / 10) for seed in (0, 0, 1)]
    for folder, row in zip(folders, rows, strict=True):
        write_result(folder, row)
        append_metrics(folder, {"epoch": 1, "loss": 2.0})
        (folder / "score.json").write_text(json.dumps({"command": COMMAND, "commit": "abc"}))
        (folder / "config.yaml").write_text(yaml.safe_dump({"seed": 0, "recipe": RECIPE}))
        save_weights(folder / "last.safetensors", build(spec), spec_to_dict(spec))
    write_result(tmp_path / "mean", mean_row(rows[1:]))
    return [tmp_path / "mean", tmp_path / "once"]


def test_a_mean_over_seeds_beside_a_single_run(runs, tmp_path, capsys):
    compare(runs, None, tmp_path / "out", measure=False)
    page, table = (tmp_path / "out" / "report.html").read_text(), (tmp_path / "out" / "table.md").read_text()
    assert "| resnet18 | mlr | 2 | 0, 1 | **55.0 ± 7.1** | 70.0 ± 0.0 |" in table
    assert "| resnet18 | mlr | 2 | 0 | 50.0 | 70.0 |" in table
    assert "55.0 ± 7.1*" in capsys.readouterr().out
    assert page.count(COMMAND) == 1  # two runs, one command
    assert page.count("<h2>Training of resnet18</h2>") == 2
    assert "All settings are the same except networks and seeds." in page
    assert "<details><summary>What all of them have in common</summary>" in page


def test_the_settings_that_differ_are_a_table(runs, tmp_path, read_page):
    """A key that came up after the older run was written has its default there."""
    for run, rest in ((runs[1], "recipe: {epochs: 2}"), (runs[0] / "seed-0", "recipe: {epochs: 2, precision: fp16}")):
        (run / "config.yaml").write_text(f"seed: 0\ndata: {{name: synthetic}}\n{rest}\n")
    compare(runs, None, tmp_path / "out", measure=False)
    page = read_page(tmp_path / "out" / "report.html")
    at = page.all("td").index("recipe.precision")
    assert page.all("td")[at:] == ["recipe.precision", "fp16", "fp32"]
    assert "name: synthetic" in page.all("code")[-1]


MADE = {"name": "auto", "dataset": None, "holdout_identities": 100, "synthetic": {"train_identities": 72}}
OTHERS = {**MADE, "name": "market1501", "holdout_identities": 50, "synthetic": {"train_identities": 9}}


@pytest.mark.parametrize(
    ("dataset", "data", "idle"),
    [
        ("Market-1501", MADE, ("name", "synthetic")),
        ("synthetic", MADE, ("name",)),
        ("synthetic", {**MADE, "dataset": {"name": "market-layout"}}, ("name", "synthetic")),
    ],
)
def test_settings_of_data_that_were_not_taken_are_no_settings(dataset, data, idle):
    kept = {key: value for key, value in data.items() if key not in idle}
    assert with_effect({"dataset": dataset, "data": data, "seed": 3}) == {"dataset": dataset, "data": kept, "seed": 3}


def test_runs_on_one_data_set_differ_in_what_was_taken_of_it(runs, tmp_path, read_page):
    for run, data in ((runs[1], MADE), (runs[0] / "seed-0", OTHERS)):
        text = yaml.safe_dump({"seed": 0, "dataset": "Market-1501", "data": data, "recipe": RECIPE})
        (run / "config.yaml").write_text(text)
    compare(runs, None, tmp_path / "out", measure=False)
    page = read_page(tmp_path / "out" / "report.html")
    assert page.all("td")[-3:] == ["data.holdout_identities", "50", "100"]
    assert not any("data.synthetic" in cell or cell == "data.name" for cell in page.all("td"))
    assert "synthetic" not in page.all("code")[-1]


def test_a_configuration_of_another_version_stands_as_it_is(runs, tmp_path):
    (runs[1] / "config.yaml").write_text("recipe: {no_longer: 1}\n")
    compare(runs, None, tmp_path / "out", measure=False)
    assert "recipe.no_longer" in (tmp_path / "out" / "report.html").read_text()
    assert "| resnet18 | - | 2 |" in (tmp_path / "out" / "table.md").read_text()


def test_the_rows_as_numbers(runs, tmp_path):
    compare(runs, None, tmp_path / "out", measure=False)
    with (tmp_path / "out" / "table.csv").open(newline="") as file:
        mean, once = csv.DictReader(file)
    assert (mean["seeds"], float(mean["mAP"]), once["seeds"], once["mAP"], once["mAP_spread"]) == (
        "0 1", pytest.approx(0.55), "0", "0.5", "",
    )  # fmt: skip
    assert (once["recipe"], once["flops"], once["height"], once["width"]) == ("mlr", "100000000", "64", "32")


def test_a_run_that_is_named_twice_is_refused(runs, tmp_path):
    """By a link, or by a slash at its end, which names the same."""
    (tmp_path / "latest").symlink_to(runs[1])
    for again in (runs[1], tmp_path / "latest", Path(f"{runs[1]}/"), tmp_path / "mean" / ".." / "once"):
        with pytest.raises(UserError, match=f"{again} is named twice; name each run only once"):
            compare([*runs, again], None, tmp_path / "out", measure=False)
    assert not (tmp_path / "out").exists()


def test_time_is_measured_for_both(runs, tmp_path, capsys):
    compare(runs, None, tmp_path / "out")
    printed = capsys.readouterr().out
    assert "10000.00" not in printed  # what each run measured for itself
    assert read_result(runs[0]).latency_ms == 1e4  # and the runs are left as they were


def test_a_run_without_weights_gets_no_time(runs, tmp_path, capsys):
    """What it measured for itself is of another moment than the others' time."""
    (tmp_path / "once" / "last.safetensors").unlink()
    compare(runs, None, tmp_path / "out")
    assert "10000.00" not in capsys.readouterr().out
    mean, once = (line for line in (tmp_path / "out" / "table.md").read_text().splitlines() if "| resnet18 |" in line)
    assert float(mean.split("|")[-2]) > 0 and once.split("|")[-2].strip() in ("", "-")
