"""The training's benchmark runs at a small size and adds up; its speed is not tested."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "training.py"


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(BENCHMARK), *arguments], capture_output=True, text=True, timeout=240)


def _number(pattern: str, text: str) -> float:
    return float(re.search(pattern, text)[1])


def test_small_benchmark():
    done = run("--networks", "mobilenetv2", "--size", "32x16", "--batch", "8", "--rounds", "1", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    bare, loop = (_number(rf"{name} +(\S+) images/s", done.stdout) for name in ("backward", "loop"))
    assert _number(r"ratio +(\S+)", done.stdout) == pytest.approx(loop / bare, rel=0.01)
    shares = [float(share) for share in re.findall(r"(\S+)%", re.search(r"step: .*", done.stdout)[0])]
    assert len(shares) == 6 and sum(shares) == pytest.approx(100, abs=0.5)
    product, convolution = re.search(r"device +(\S+) GFLOP/s product, (\S+)", done.stdout).groups()
    assert float(product) > 0 and float(convolution) > 0
    # The last map alone: 8 images of 1280 channels and a pixel, in float32.
    assert _number(r"maps kept for backward +(\S+) MiB", done.stdout) > 8 * 1280 * 4 / 2**20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--batch", "6"), "--batch 6: give a multiple of 4, at least 8"),
        (("--torchreid", "nowhere"), "--torchreid nowhere: no torchreid/engine in it; give a checkout of"),
    ],
)
def test_what_is_refused(run_here, arguments, message):
    done = run_here(BENCHMARK.name, *arguments)
    assert done.returncode == 1 and done.stderr.startswith(f"error: {message}") and done.stdout == ""
