"""The re-ranking's benchmarks run at small sizes and tell equal results from others; speed is not tested."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def run(program: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(BENCHMARKS / program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_quick_benchmark_with_a_peer_that_does_not_rerank(tmp_path):
    file = tmp_path / "torchreid" / "utils" / "rerank.py"
    file.parent.mkdir(parents=True)
    file.write_text("def re_ranking(q_g_dist, q_q_dist, g_g_dist):\n    return 2 + q_g_dist\n")
    done = run("reranking.py", "--quick", "--torchreid", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"difference to float64 loops at 60 x 240: (\S+)", done.stdout)[1]) < 1e-5
    apart, share = re.search(r"difference to torchreid: (\S+), over 1e-05 at (\S+) of all", done.stdout).groups()
    assert float(apart) > 1 and float(share) == 1
    for side in ("ours", "torchreid"):
        peak, before = re.search(rf"^{side} .* peak +(\S+) GiB, (\S+) before", done.stdout, re.MULTILINE).groups()
        assert 0 < float(before) <= float(peak) < 3
    before, after = re.search(r"mAP +(\S+)% before, (\S+)% after", done.stdout).groups()
    assert float(after) > float(before)


def test_a_folder_without_the_peer_is_named(run_here, tmp_path):
    done = run_here("reranking.py", "--quick", "--torchreid", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        f"error: --torchreid {tmp_path}: no torchreid/utils/rerank.py in it; "
        "give a checkout of KaiyangZhou/deep-person-reid\n"
    )


def test_variants_differ_from_the_authors():
    done = run("reranking_variants.py", "--queries", "40", "--gallery", "160", "--seeds", "1")
    assert done.returncode == 0, done.stderr
    rows = dict(re.findall(r"^\| (.+?) \| .* \| (\d\S+) \|$", done.stdout, re.MULTILINE))
    assert float(rows.pop("authors")) == 0
    assert float(rows.pop("half set by numpy's rounding")) == 0  # not for k1 = 20
    assert float(rows.pop("equal distances the other way round")) == 0  # there are none
    assert len(rows) == 9 and min(map(float, rows.values())) > 0.001
