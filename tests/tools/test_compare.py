"""Runs that were trained once and runs that are a mean over seeds, in one table and one page."""

from __future__ import annotations

import dataclasses
import json

import pytest

from evaluation.repeats import mean_row
from evaluation.result_row import ResultRow, read_result, write_result
from reid.engine.checkpoint import save_weights
from reid.engine.run_folder import append_metrics
from supernet.catalog import build, find_network, spec_to_dict
from tools.jobs.compare import compare

ROW = ResultRow("resnet18", "baseline", 0.5, 0.7, 10**8, 10**7, 1e4, 2, 0, (64, 32), "persons", "runs/x")
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
        (folder / "config.yaml").write_text("seed: 0\n")
        save_weights(folder / "last.safetensors", build(spec), spec_to_dict(spec))
    write_result(tmp_path / "mean", mean_row(rows[1:]))
    return [tmp_path / "mean", tmp_path / "once"]


def test_a_mean_over_seeds_beside_a_single_run(runs, tmp_path, capsys):
    compare(runs, None, tmp_path / "out", measure=False)
    page, table = (tmp_path / "out" / "report.html").read_text(), (tmp_path / "out" / "table.md").read_text()
    assert "| resnet18 | **55.0 ± 7.1** | 70.0 ± 0.0 |" in table and "| resnet18 | 50.0 | 70.0 |" in table
    assert "55.0 ± 7.1*" in capsys.readouterr().out
    assert page.count(COMMAND) == 1  # two runs, one command
    assert page.count("<h2>Training of resnet18</h2>") == 2 and "seed: 0" in page


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
