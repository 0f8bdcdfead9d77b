"""Ways to the same archs' weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from search.gain.ways import Ways, compare_ways, ways_table


def test_differences_are_of_pairs():
    """Archs differ by far more than ways do, and that is in no interval."""
    random = np.random.default_rng(1)
    scratch = random.uniform(0.3, 0.7, 12)
    tuned, inherited = scratch + random.normal(0.02, 0.01, 12), scratch - random.normal(0.05, 0.02, 12)
    found = compare_ways([Ways(*row) for row in zip(inherited, tuned, scratch, strict=True)], "net", 5)
    assert (found.count, found.inherited, found.tuned, found.scratch) == (
        12,
        *(pytest.approx(way.mean()) for way in (inherited, tuned, scratch)),
    )
    for gain, way in ((found.tuned_over_scratch, tuned), (found.inherited_over_scratch, inherited)):
        interval = stats.ttest_rel(way, scratch).confidence_interval(0.95)
        assert (gain.low, gain.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.tuned_over_scratch.settled and found.inherited_over_scratch.high < 0


def test_table():
    rows = [Ways(0.40, 0.52, 0.50), Ways(0.44, 0.55, 0.51)]
    text = ways_table(compare_ways(rows, "runs/supernet", 5)).splitlines()
    assert text[0].endswith("of the same 2 archs, by the way to their weights")
    low, high = stats.ttest_1samp([2, 4], 0).confidence_interval(0.95)
    assert text[2] == f"  runs/supernet + 5 epochs   53.5  +3.0 over from scratch ({low:.1f} to {high:.1f})"
    assert text[3] == "  from scratch               50.5"
    assert "(" not in ways_table(compare_ways(rows[:1], "net", 5)).split("\n", 1)[1]
