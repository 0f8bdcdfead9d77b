"""What a tool tells to type next."""

from __future__ import annotations

import shlex

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
