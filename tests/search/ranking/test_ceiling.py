"""The ceiling against trainings simulated with a truth and a noise that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from search.ranking.ceiling import ceiling
from search.ranking.statistics import kendall_tau, spearman_rho

SHAPES = {
    "normal": lambda random, size: random.standard_normal(size),
    "uniform": lambda random, size: random.uniform(-np.sqrt(3), np.sqrt(3), size),
    "skewed": lambda random, size: random.exponential(1, size),
}


def _scores(random, truth, noise, seeds):
    return truth[:, None] + noise * random.standard_normal((len(truth), seeds))


def test_variances_by_hand():
    """Seeds differ by 2 within each arch: variance 2. Means 1, 3, 5: variance 4, less 2 / 2 seeds."""
    got = ceiling([(0.0, 2.0), (2.0, 4.0), (4.0, 6.0)])
    assert got.noise**2 == pytest.approx(2) and got.spread**2 == pytest.approx(3)


@pytest.mark.parametrize("noise", [0.3, 0.8])
def test_normal_truths_have_the_formula(noise):
    random, seeds = np.random.default_rng(0), 2
    truth = random.standard_normal(100)
    got = ceiling(_scores(random, truth, noise, seeds).tolist())
    reliability = 1 / (1 + noise**2 / seeds)
    assert got.tau == pytest.approx(2 / np.pi * np.arcsin(np.sqrt(reliability)), abs=0.04)
    assert got.rho == pytest.approx(6 / np.pi * np.arcsin(np.sqrt(reliability) / 2), abs=0.04)
    assert got.noise == pytest.approx(noise, rel=0.15)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("noise", [0.3, 0.7])
def test_few_archs_have_the_expected_tau_on_average(shape, noise):
    """As many archs and seeds as are affordable: the mean of 40 estimates against what the truth, known here, gives."""
    random, estimates, actual = np.random.default_rng(1), [], []
    for _ in range(40):
        truth = SHAPES[shape](random, 20)
        estimates.append(ceiling(_scores(random, truth, noise, 2).tolist()))
        means = _scores(random, np.tile(truth, (200, 1)).ravel(), noise, 2).mean(1).reshape(200, 20)
        actual.append((kendall_tau(truth, means).mean(), spearman_rho(truth, means).mean()))
    tau, rho = np.mean(actual, axis=0)
    assert np.mean([each.tau for each in estimates]) == pytest.approx(tau, abs=0.05)
    assert np.mean([each.rho for each in estimates]) == pytest.approx(rho, abs=0.05)


def test_tight_groups_are_put_too_high():
    """The documented limit of the estimate: what is alike but for the noise looks spread out."""
    random = np.random.default_rng(4)
    truth = np.repeat([-1.0, 1.0], 20) + 1e-3 * np.arange(40)
    means = _scores(random, np.tile(truth, (200, 1)).ravel(), 0.3, 2).mean(1).reshape(200, 40)
    actual = kendall_tau(truth, means).mean()
    assert actual + 0.1 < ceiling(_scores(random, truth, 0.3, 2).tolist()).tau < 1


def test_seeds_against_seeds():
    random = np.random.default_rng(2)
    scores = _scores(random, random.standard_normal(12), 0.5, 3)
    a, b, c = scores.T
    got = ceiling([*scores.tolist(), [0.1], [0.2, 0.3]])  # archs that are not trained with all seeds
    pairs = [(a, b), (a, c), (b, c)]
    taus = [stats.kendalltau(*pair).statistic for pair in pairs]
    rhos = [stats.spearmanr(*pair).statistic for pair in pairs]
    assert got.tau_of_seeds.value == pytest.approx(np.mean(taus))
    assert got.rho_of_seeds.value == pytest.approx(np.mean(rhos))
    assert got.tau_of_seeds.low < np.mean(taus) < got.tau_of_seeds.high


def test_seeds_of_two_archs_are_too_few_for_a_tau_between_them():
    got = ceiling([(0.1, 0.2), (0.3, 0.25), (0.5,), (0.7,)])
    assert got.tau_of_seeds is got.rho_of_seeds is None and got.noise > 0
    assert ceiling([(0.1, 0.2), (0.3, 0.25), (0.5, 0.4), (0.7,)]).tau_of_seeds.value == 1


def test_more_seeds_raise_the_ceiling():
    random = np.random.default_rng(3)
    scores = _scores(random, random.standard_normal(50), 0.8, 4)
    two, four = ceiling(scores[:, :2].tolist()), ceiling(scores.tolist())
    assert two.tau + 0.02 < four.tau and two.noise == pytest.approx(four.noise, rel=0.2)


def test_extremes():
    assert ceiling([(0.1,), (0.2,), (0.3,)]) is None  # nothing was trained twice
    exact = ceiling([(0.1, 0.1), (0.2, 0.2), (0.4, 0.4), (0.3, 0.3)])
    assert exact.tau == exact.rho == 1 and exact.noise == 0
    noisy = ceiling([(0.1, 0.9), (0.9, 0.1), (0.2, 0.8), (0.8, 0.2)])  # all means alike
    assert noisy.tau == noisy.rho == noisy.spread == 0
    assert noisy.tau_of_seeds.value == -1
