"""The real tools by the rehearsal's plan, cut off on the way: minutes, so that it is among the slow tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_cut_rehearsal_comes_to_its_table(tmp_path):
    pytest.importorskip("nni")
    command = [sys.executable, "tools/results.py", "--plan", "configs/results/rehearsal.yaml", "--out", str(tmp_path)]
    command += ["--device", "cpu", "--jobs", "2", "--only", "Found-6M-B, inherited", "OSNet x0.25"]

    def run(*more: str) -> str:
        done = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, timeout=1500)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "left: 4 of 4 steps" in run("--minutes", "0.1")
    assert "all 4 steps are done" in run()
    said = run("--status")
    assert said.count("  done") == 4 and "4 of 4 steps are done, including 2 trainings" in said
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["Found-6M-B, inherited", "OSNet x0.25"]
    assert rows[0]["flops"] <= 6_000_000 and rows[0]["inherited"] == "tiny" and rows[0]["epochs"] == 2
    assert rows[0]["train_set"].startswith("inherited weights (") and rows[1]["inherited"] == ""
    search = json.loads((tmp_path / "searches" / "6M" / "search.json").read_text())
    assert rows[0]["parameters"] > 0 and search["best"][1]["flops"] == rows[0]["flops"]
