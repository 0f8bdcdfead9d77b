"""A training of two gloo processes that blows up: both go back together, as one process would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reid.engine.guard.rollback import ROLLBACKS
from reid.engine.machine.distributed import SINGLE
from reid.engine.runs.run_folder import read_metrics

PROGRAM = Path(__file__).with_name("rollback_program.py")


def test_two_processes_go_back_as_one(tmp_path, run_twice, load_program):
    """The second process sees no loss at all: what the first one sees is what counts."""
    (tmp_path / "run").mkdir(), (tmp_path / "alone").mkdir()
    said = run_twice(PROGRAM, tmp_path)
    assert said[0].count("guard: ") == 2 and "guard" not in said[1]
    wanted = load_program(PROGRAM).train(SINGLE, tmp_path / "alone")
    weights = [float((tmp_path / f"rank{rank}").read_text()) for rank in range(2)]
    assert weights[0] == weights[1] == pytest.approx(wanted, rel=1e-5)
    back = [json.loads((tmp_path / run / ROLLBACKS).read_text()) for run in ("run", "alone")]
    assert [(each["epoch"], each["to"], each["rate"]) for each in back[0]] == [(5, 2, 0.5), (5, 2, 0.125)]
    assert [each | {"seen": ""} for each in back[0]] == [each | {"seen": ""} for each in back[1]]
    assert [record["lr"] for record in read_metrics(tmp_path / "run")] == [0.5] * 2 + [0.0625] * 4
