"""Real processes: kills at any point, and workers that share a search, against one process that does it all."""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest

import search.workers
from reid.engine.machine.distributed import SINGLE
from search.history import Candidate, read_candidates
from search.workers import Team


@pytest.fixture(scope="module")
def start(run_processes, tmp_path_factory):
    """Runs the program in a folder with the log of an unbroken search beside it; gives how the processes ended."""
    whole: dict[tuple[str, str], Path] = {}

    def run(folder: Path, what: str, strategy: str = "evolution", count: int = 1, unbroken: str = "all") -> list:
        if (strategy, unbroken) not in whole:
            first = tmp_path_factory.mktemp("whole")
            (done,) = run_processes(1, first, strategy, unbroken)
            assert done.returncode == 0, done.said
            whole[strategy, unbroken] = first / "run" / "candidates.jsonl"
        folder.mkdir(exist_ok=True)
        (folder / "whole.jsonl").write_bytes(whole[strategy, unbroken].read_bytes())
        (folder / "meeting").unlink(missing_ok=True)
        return run_processes(count, folder, strategy, what)

    return run


def _log(path: Path) -> list[Candidate]:
    return [replace(candidate, seconds=0.0) for candidate in read_candidates(path)]


def _same(folder: Path) -> bool:
    return _log(folder / "run" / "candidates.jsonl") == _log(folder / "whole.jsonl")


@pytest.mark.parametrize(
    ("what", "left"), [("kill:0", 0), ("kill:5", 5), ("kill:12", 12), ("cut:7", 7), ("kill:17", 17)]
)
def test_search_that_was_killed_goes_on_to_the_same_log(start, tmp_path, what, left):
    (killed,) = start(tmp_path, what)
    assert killed.returncode == -signal.SIGKILL
    log = tmp_path / "run" / "candidates.jsonl"
    if what.startswith("cut"):
        assert not log.read_text().endswith("\n")
    assert len(read_candidates(log)) == left
    (resumed,) = start(tmp_path, "all")
    assert resumed.returncode == 0, resumed.said
    assert _same(tmp_path) and len(_log(log)) == 18


@pytest.mark.parametrize(("strategy", "count"), [("evolution", 2), ("pareto", 3)])
def test_workers_write_the_log_of_one(start, tmp_path, strategy, count):
    done = start(tmp_path, "all", strategy, count)
    assert [each.returncode for each in done] == [0] * count, "\n".join(each.said for each in done)
    assert _same(tmp_path)


def test_nan_in_a_worker_is_a_failed_candidate(start, tmp_path):
    done = start(tmp_path, "nan", count=2, unbroken="nan")
    assert [each.returncode for each in done] == [0, 0], done[0].said
    failed = [candidate.score is None for candidate in _log(tmp_path / "run" / "candidates.jsonl")]
    assert _same(tmp_path) and any(failed) and not all(failed)


def test_workers_search_a_real_supernet(start, tmp_path):
    done = start(tmp_path, "supernet", count=2, unbroken="supernet")
    assert [each.returncode for each in done] == [0, 0], "\n".join(each.said for each in done)
    assert _same(tmp_path) and len({each.score for each in _log(tmp_path / "whole.jsonl")}) > 3


# Of generations of 5 that two share, trial 8 is the second process's.
@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("fail:8", "RuntimeError: process 1 failed: .*ValueError: no luck with trial 8"),
        ("refuse:8", "UserError: trial 8 is refused"),
    ],
)
def test_an_exception_in_a_worker_ends_all_with_its_message(start, tmp_path, what, message):
    first, second = start(tmp_path, what, count=2)
    assert first.returncode == 1 and re.search(message, first.said, re.DOTALL), first.said
    assert second.returncode == 0, second.said
    assert len(_log(tmp_path / "run" / "candidates.jsonl")) == 8
    done = start(tmp_path, "all", count=2)
    assert [each.returncode for each in done] == [0, 0] and _same(tmp_path)


def test_workers_say_that_the_first_process_was_killed(start, tmp_path):
    first, second = start(tmp_path, "kill:7", count=2)  # of the round of trials 7 and 8
    assert first.returncode == -signal.SIGKILL and second.returncode == 1
    assert "UserError: process 1: the first process ended before the search did" in second.said
    assert len(_log(tmp_path / "run" / "candidates.jsonl")) == 7


def test_a_worker_that_is_killed_ends_all(start, tmp_path):
    first, second = start(tmp_path, "kill:8", count=2)
    assert first.returncode == 1 and second.returncode == -signal.SIGKILL
    assert "UserError: another process of the search ended" in first.said
    assert len(_log(tmp_path / "run" / "candidates.jsonl")) == 7  # but for the round of trials 7 and 8
    done = start(tmp_path, "all", count=3)
    assert [each.returncode for each in done] == [0, 0, 0] and _same(tmp_path)


def test_a_worker_that_died_after_the_last_round_costs_nothing(monkeypatch):
    told = []

    def gone(message, src):
        told.append(message)
        raise RuntimeError("connection closed by peer")

    monkeypatch.setattr(search.workers.dist, "broadcast_object_list", gone)
    Team(replace(SINGLE, world_size=2)).dismiss()
    assert told == [[None]]
