"""The evaluation's benchmark runs at its small size and finds itself exact; its speed is not tested."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "evaluation.py"


def test_quick_benchmark(tmp_path):
    arguments = ["--quick", "--rounds", "1", "--torchreid", str(tmp_path), "--no-reranking"]
    done = subprocess.run([sys.executable, str(BENCHMARK), *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "no peer" in done.stdout
    differences = [float(number) for number in re.findall(r"float64 loop over 10 queries: (\S+)", done.stdout)]
    assert len(differences) == 2 and max(differences) < 1e-9
    assert re.search(r"peak memory \d+ MiB", done.stdout)
