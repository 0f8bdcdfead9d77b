"""Means and differences against a simulation of archs and seeds, and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from search.gain.analysis import FOUND, RANDOM, Trained, compare, group_mean
from search.gain.statistics import Mean, combine, difference, mean_of


def _trained(name: str, kind: str, scores) -> Trained:
    scores = tuple(map(float, scores))
    return Trained(name, kind, "", 1, 1, tuple(range(len(scores))), scores, scores)


def test_a_difference_is_welchs():
    a, b = [0.61, 0.64, 0.6, 0.66], [0.58, 0.57, 0.61]
    found, theirs = difference(mean_of(a), mean_of(b)), stats.ttest_ind(a, b, equal_var=False)
    low, high = theirs.confidence_interval(0.95)
    assert found.errors == pytest.approx(theirs.statistic) and found.freedom == pytest.approx(theirs.df)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.error == pytest.approx(math.sqrt(np.var(a, ddof=1) / 4 + np.var(b, ddof=1) / 3))
    assert found.settled == (low > 0) and difference(mean_of(b), mean_of(a)).high == pytest.approx(-low)


def test_a_loss_is_as_sure_as_a_gain():
    a, b = mean_of([0.61, 0.62, 0.6]), mean_of([0.5, 0.51, 0.49])
    gain, loss = difference(a, b), difference(b, a)
    assert gain.settled and loss.settled and loss.errors == gain.errors > 0
    assert (loss.value, loss.low, loss.high) == (-gain.value, -gain.high, -gain.low)


def test_what_has_no_error():
    for first, second in (([0.5], [0.4, 0.41]), ([0.5, 0.6], [0.4])):
        found = difference(mean_of(first), mean_of(second))
        assert found.value == pytest.approx(np.mean(first) - np.mean(second))
        assert (found.error, found.low, found.errors, found.settled) == (None, None, None, False)
    one = mean_of([0.4, 0.5, 0.45])
    against_a_number = difference(Mean.known(0.3), one)
    assert against_a_number.error == pytest.approx(one.error) and against_a_number.freedom == pytest.approx(2)
    assert difference(mean_of([0.5, 0.5]), mean_of([0.25, 0.25])).error is None  # nothing to count errors by
    mean = combine((0.5, 0.5), (mean_of([1.0, 2.0]), mean_of([3.0, 5.0])))
    assert mean.value == 2.75 and mean.error == pytest.approx(0.5 * math.hypot(0.5, 1.0))


def test_two_levels_against_a_simulation():
    """The found arch is one arch, so its own deviation is no noise; random archs deviate and their seeds do."""
    random, archs, seeds, between, noise, true_gain = np.random.default_rng(0), 4, 3, 0.02, 0.012, 0.03
    gains, variances, naive, covered = [], [], [], 0
    for _ in range(1500):
        found = _trained("A", FOUND, 0.6 + true_gain + noise * random.standard_normal(seeds))
        truths = 0.6 + between * random.standard_normal((archs, 1))
        table = truths + noise * random.standard_normal((archs, seeds))
        rivals = [_trained(f"R{number}", RANDOM, scores) for number, scores in enumerate(table)]
        gain = compare("search gain", [found], rivals).mAP
        gains.append(gain.value)
        variances.append(gain.error**2)
        naive.append(np.var(found.mAP, ddof=1) / seeds + np.var(table, ddof=1) / table.size)
        covered += gain.low <= true_gain <= gain.high
    whole = between**2 / archs + noise**2 / (archs * seeds) + noise**2 / seeds
    assert np.mean(gains) == pytest.approx(true_gain, abs=0.001)
    assert np.var(gains) == pytest.approx(whole, rel=0.08)
    assert np.mean(variances) == pytest.approx(whole, rel=0.05)
    assert np.mean(naive) < 0.7 * whole  # as if all trainings were draws of one level
    assert 0.94 < covered / 1500 < 0.975


def test_several_found_archs_are_these_very_archs():
    """What they differ by is no noise: only their seeds are."""
    far = [_trained("A", FOUND, [0.5, 0.51, 0.52]), _trained("B", FOUND, [0.7, 0.74, 0.72])]
    errors = [np.std(each.mAP, ddof=1) / math.sqrt(3) for each in far]
    mean = group_mean(far, "mAP")
    assert mean.value == pytest.approx(0.615) and mean.error == pytest.approx(0.5 * math.hypot(*errors))
    drawn = group_mean([_trained(each.name, RANDOM, each.mAP) for each in far], "mAP")
    assert drawn.error == pytest.approx(np.std([0.51, 0.72], ddof=1) / math.sqrt(2)) and drawn.freedom == 1
