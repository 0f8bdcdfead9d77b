"""What a tool tells to type next, and how the common options are read."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tools.cli import job_parser, read_job
from tools.jobs.job import next_command


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("", ""),
        ("--seed 3 --out runs/x --resume", ""),  # of that job alone
        ("--config configs/demo.yaml --set search.trials=7 --set search.name_prefix=N", None),
        ("--data '/some folder'", None),
    ],
)
def test_next_command_is_of_the_same_experiment(typed, kept):
    job = read_job(job_parser("", "runs/supernet").parse_args(shlex.split(typed)), "runs/supernet")
    kept = typed if kept is None else kept
    words = ["python", "tools/search.py", *shlex.split(kept), "--flops", "9M"]
    assert shlex.split(next_command("search", job, "--flops", "9M")) == words


@pytest.mark.parametrize("config", ["demo", "market1501"])
def test_the_synthetic_set_is_named_in_the_place_of_a_folder(config):
    typed = ["--config", f"configs/{config}.yaml", "--data", "synthetic"]
    job = read_job(job_parser("", "runs/x").parse_args(typed), "runs/x")
    assert job.data is None and job.experiment.data.name == "synthetic"
    assert next_command("search", job).endswith("--set data.name=synthetic")


def test_a_folder_that_is_called_so_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "synthetic").mkdir()
    job = read_job(job_parser("", "runs/x").parse_args(["--data", "synthetic"]), "runs/x")
    assert job.data == Path("synthetic") and job.experiment.data.name == "auto"
