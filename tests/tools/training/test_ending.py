"""What retrain.py and train_supernet.py say at their end: files that are there, and a command that can be given."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.comparison.row import ResultRow, write_result
from tools.jobs.training.ending import MOST, comparing_command

ROW = ResultRow("one", "baseline", 0.5, 0.7, 10**8, 10**7, 1.0, 2, 0, (64, 32), "persons", "runs/one")


def named_files(out: str) -> dict[str, str]:
    return dict(re.findall(r"(?:^|; )(\w+): ([^;\n]+)", out, re.MULTILINE))


def test_the_command_names_what_can_be_compared(tmp_path):
    """The newest runs beside it, none of other data, none that cannot be read; as the shell takes it."""
    run = tmp_path / "a run"
    for age, name in enumerate(["a run", *(f"r{number}" for number in range(MOST + 2))]):
        path = write_result(tmp_path / name, replace(ROW, name=name))
        os.utime(path, (1000 - age, 1000 - age))
    write_result(tmp_path / "elsewhere", replace(ROW, train_set="others"))
    (tmp_path / "latest").symlink_to(run)  # which compare.py would refuse as named twice
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "result.json").write_text("{")
    words = shlex.split(comparing_command(run))
    assert words[:3] == ["python", "tools/compare.py", str(run)]
    assert words[3:] == [str(tmp_path / f"r{number}") for number in range(MOST)]


@pytest.mark.parametrize("repeats", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_retrain_names_its_files_and_the_next_command(call, small_arch, tmp_path, repeats):
    other, run = tmp_path / "other", tmp_path / "the run"
    arguments = ("--arch", small_arch)
    first = call("retrain", *arguments, "--out", other)
    assert first.code == 0, first.err
    done = call("retrain", *arguments, "--repeats", repeats, "--out", run)
    assert done.code == 0, done.err
    named = named_files(done.out)
    paths = [Path(path) for path in (named["curves"], named["report"], *named["log"].split(", "))]
    assert all(path.is_file() for path in paths) and len(paths) == 2 + repeats
    assert f"{run / 'result.json'}" in done.out and (run / "result.json").is_file()
    program, tool, *runs = shlex.split(re.search("^next: (.*)$", done.out, re.MULTILINE)[1])
    assert (program, tool, runs) == ("python", "tools/compare.py", [str(run), str(other)])
    compared = call("compare", *runs, "--out", tmp_path / "out", "--no-latency", tiny=False)
    assert compared.code == 0, compared.err
    assert "small" in compared.out and (tmp_path / "out" / "table.csv").is_file()


def test_train_supernet_names_its_files_and_the_next_command(call, tmp_path):
    run = tmp_path / "super net"
    done = call("train_supernet", "--out", run)
    assert done.code == 0, done.err
    named = named_files(done.out)
    assert all(Path(named[key]).is_file() for key in ("supernet", "curves", "log", "report"))
    words = shlex.split(re.search("^next: (.*)$", done.out, re.MULTILINE)[1])
    assert words[:2] == ["python", "tools/search.py"] and words[words.index("--supernet") + 1] == str(run)
    assert words[words.index("--flops") + 1] == "6M"
