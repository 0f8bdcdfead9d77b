"""``benchmarks/throughput.py`` at a small size."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/throughput.py", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_every_way_is_timed():
    done = _run(*"--networks osnet_x0_25 --sizes 64x32 --batch 2 --rounds 1 --threads 1 --device cpu".split())
    assert done.returncode == 0, done.stderr
    first, *rows = done.stdout.splitlines()
    assert first.startswith("batch 2, fp32, channels-last, ") and len(rows) == 2
    for row, kind in zip(rows, ("training", "inference"), strict=True):
        speed, ratios = re.fullmatch(rf"osnet_x0_25 64x32 {kind} +(\d+\.\d) images/s   (.+)", row).groups()
        assert float(speed) > 0
        ways = [part.rsplit(" ", 1) for part in ratios.split(", ")]
        assert [way for way, _ in ways] == ["default format", "bf16", "no oneDNN", "flush denormals", "1 threads"]
        assert all(float(ratio) > 0 for _, ratio in ways)


def test_refusals(run_here):
    done = run_here("throughput.py", "--sizes", "128")
    assert done.returncode == 2 and done.stderr.endswith("'128': give height and width in pixels, as in 256x128\n")
