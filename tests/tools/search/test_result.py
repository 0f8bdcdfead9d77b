"""What a search says at its end."""

from __future__ import annotations

import pytest

from search.history import Candidate
from search.result import SearchResult, Speed
from supernet.files import mobilenet_v2
from tools.jobs.search.result import print_result


@pytest.mark.parametrize(
    ("speed", "line"),
    [
        (Speed(12, 4.8), "speed: 12 candidates in 4.8 s, 2.5 candidates/s"),
        (Speed(1, 0.5), "speed: 1 candidate in 0.5 s, 2 candidates/s"),
        (Speed(0, 0.1), None),
    ],
)
def test_speed_is_told_where_something_was_evaluated(tmp_path, capsys, speed, line):
    best = Candidate(0, "random", 200_000_000, 7, 0.25, None, 0.0, {}, mobilenet_v2())
    arch = tmp_path / "archs" / "MLR-210M-A.yaml"
    result = SearchResult(tmp_path, (best,), (best,), ("flops",), (best,), (arch,), (), (), {}, speed)
    print_result(result, "evolution", "retrain {}".format)
    out = capsys.readouterr().out.splitlines()
    assert [each for each in out if each.startswith("speed")] == ([line] if line else [])
    assert out[-1] == "next: retrain MLR-210M-A"
    assert out[-3].startswith(
        "MLR-210M-A: 200.0M FLOPs, 0.000M parameters, held-out mAP 25.0 %, "
    )  # any may be limited
