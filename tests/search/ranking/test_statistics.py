"""Rank statistics against loops, scipy, figures by hand and simulated rankings."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from search.ranking.statistics import (
    CONFIDENCE,
    RESAMPLES,
    Estimate,
    bootstrap,
    kendall_tau,
    mean_ranks,
    precision_at,
    regret,
    spearman_rho,
    tau_given,
)

# Few different values, so that ties are common.
PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=12)


def _tau_by_pairs(x, y) -> float:
    agree = untied_x = untied_y = 0
    for i, j in combinations(range(len(x)), 2):
        a, b = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
        agree, untied_x, untied_y = agree + a * b, untied_x + (a != 0), untied_y + (b != 0)
    return agree / np.sqrt(untied_x * untied_y) if untied_x and untied_y else float("nan")


@settings(max_examples=200, deadline=None)
@given(PAIRS)
def test_correlations_are_scipys_and_the_loops(pairs):
    x, y = np.array(pairs, dtype=float).T
    expected = _tau_by_pairs(x, y)
    assert kendall_tau(x, y) == pytest.approx(expected, nan_ok=True)
    if len(set(x)) > 1 and len(set(y)) > 1:
        assert kendall_tau(x, y) == pytest.approx(stats.kendalltau(x, y).statistic)
        assert spearman_rho(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    else:
        assert np.isnan(spearman_rho(x, y))


def test_leading_axes_are_rankings_of_their_own():
    random = np.random.default_rng(0)
    x, y = random.integers(0, 9, size=(2, 5, 7, 11))
    for statistic in (kendall_tau, spearman_rho, lambda a, b: tau_given(a, b, x[0, 0])):
        together = statistic(x, y)
        assert together.shape == (5, 7)
        assert together[3, 4] == pytest.approx(float(statistic(x[3, 4], y[3, 4])))


def test_tau_by_hand():
    # Of the six pairs of four archs only (1, 2) and (3, 4) are in the other order.
    assert kendall_tau([1, 2, 3, 4], [2, 1, 4, 3]) == pytest.approx(2 / 6)


def test_what_flops_tell_alone_counts_nothing():
    """Three normal quantities, the first two independent given the third; Kendall's partial tau is biased there."""
    random = np.random.default_rng(1)
    z = random.standard_normal((400, 40))
    x, y = (0.9 * z + np.sqrt(1 - 0.81) * random.standard_normal(z.shape) for _ in range(2))
    assert kendall_tau(x, y).mean() == pytest.approx(2 / np.pi * np.arcsin(0.81), abs=0.02)
    assert tau_given(x, y, z).mean() == pytest.approx(0, abs=0.03)
    xy, xz, yz = (kendall_tau(*pair).mean() for pair in ((x, y), (x, z), (y, z)))
    assert (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2)) > 0.15


def test_what_is_known_beyond_flops_counts():
    random = np.random.default_rng(2)
    z, own = random.standard_normal((2, 200, 30))
    truth, scores = z + own, np.exp(z + own)
    assert np.allclose(tau_given(scores, truth, z), 1)  # any monotone score of the truth
    assert np.allclose(tau_given(scores, truth, np.exp(3 * z)), 1)  # and of FLOPs
    # Nothing is left of a ranker that is FLOPs.
    assert np.isnan(tau_given(z, truth, z)).all()


def test_flops_all_alike_take_nothing_away():
    x, y = np.random.default_rng(3).standard_normal((2, 15))
    assert tau_given(x, y, np.ones(15)) == pytest.approx(float(kendall_tau(x, y)))


def test_best_by_hand():
    truth = np.array([0.5, 0.9, 0.7, 0.1, 0.8, 0.6])
    scores = np.array([3, 1, 6, 2, 5, 4])  # best three: 2, 4, 5; truly: 1, 4, 2
    assert precision_at(3, scores, truth) == pytest.approx(2 / 3)
    assert precision_at(1, scores, truth) == 0 and precision_at(6, scores, truth) == 1
    assert regret(scores, truth) == pytest.approx(0.9 - 0.7)
    assert regret(truth, truth) == 0


def test_of_equal_scores_the_earlier_is_taken():
    scores, truth = np.arange(60) % 2, np.zeros(60)  # the best scores are those of 1, 3, 5, ...
    truth[[1, 3, 5]] = 3, 2, 1
    assert precision_at(3, scores, truth) == precision_at(3, truth, scores) == 1
    assert regret(scores, truth) == 0 and regret(-scores, truth) == 3


def test_mean_ranks_by_hand():
    """Ranks 2, 3.5, 3.5, 1 and 1, 2, 3, 4, about their middle: no ranker's unit counts."""
    got = mean_ranks([10, 900, 900, 0], [0.1, 0.2, 0.3, 0.4])
    assert got.tolist() == [-1, 0.25, 0.75, 0]
    assert mean_ranks([3, 1, 2]).tolist() == [1, -1, 0]


def test_resamples_of_one_arch_alone_do_not_spoil_the_interval():
    assert bootstrap(kendall_tau, np.arange(3.0), np.arange(3.0)) == Estimate(1, 1, 1)


def test_interval_is_that_of_a_loop():
    random = np.random.default_rng(4)
    x, y = random.standard_normal((2, 9))
    chosen = np.random.default_rng(7).integers(9, size=(RESAMPLES, 9))
    taus = [_tau_by_pairs(x[own], y[own]) for own in chosen]
    low, high = np.nanpercentile(taus, [2.5, 97.5])
    got = bootstrap(kendall_tau, x, y, seed=7)
    assert (got.value, got.low, got.high) == pytest.approx((_tau_by_pairs(x, y), low, high))
    assert bootstrap(kendall_tau, x, y, seed=7) == got


def test_interval_covers_the_true_tau():
    """Normal pairs with a known tau: about 95 of 100 intervals hold it (of 25 archs: some fewer)."""
    random, true = np.random.default_rng(5), 2 / np.pi * np.arcsin(0.7)
    held = 0
    for seed in range(100):
        x, noise = random.standard_normal((2, 25))
        got = bootstrap(kendall_tau, x, 0.7 * x + np.sqrt(0.51) * noise, seed=seed)
        held += got.low <= true <= got.high
    assert 87 <= held <= 99 and CONFIDENCE == 0.95


def test_no_figure_where_all_are_tied():
    assert bootstrap(kendall_tau, np.ones(6), np.arange(6.0)) is None
