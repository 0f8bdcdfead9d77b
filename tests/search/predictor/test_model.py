"""The predictor against the closed forms it stands for, and against simpler predictors on artificial objectives."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from reid.errors import UserError
from search.costs import CostTable
from search.history import Candidate
from search.predictor import cross_validated_rank, fit_predictor
from search.predictor.encoding import bends, encode_all
from search.predictor.model import BENDS, MINIMUM, PAIRS
from search.predictor.ridge import LEVEL, RIDGES, least_error, least_error_of
from supernet.files import load_space
from supernet.space import decode
from supernet.space.genome import sample

SPACE = load_space("tiny")
TABLE = CostTable()
ARCHS = [decode(SPACE, sample(SPACE, Random(seed))) for seed in range(360)]


def _main(arch) -> float:
    """Wider is better, kernels are best at 5."""
    kernels = [stage.blocks[0].kernel for stage in arch.stages]
    return (
        0.3 + 0.05 * sum(np.log(stage.width) for stage in arch.stages) - 0.01 * sum(abs(each - 5) for each in kernels)
    )


def _interacting(arch) -> float:
    """Large kernels help wide stages only, and deep stages want small expansions."""
    stages = arch.stages[1:]
    kernels = sum((stage.blocks[0].kernel - 4) * (stage.width - 40) / 1000 for stage in stages)
    return (
        _main(arch) + kernels - 0.02 * sum((len(stage.blocks) - 1.5) * (stage.blocks[0].expand - 4) for stage in stages)
    )


def _candidates(archs, score=_main, noise=0.0):
    random = Random(1)
    return [
        Candidate(trial, "random", 1, 1, score(arch) + random.gauss(0, noise), None, 0.0, {}, arch)
        for trial, arch in enumerate(archs)
    ]


def test_prediction_is_the_dual_ridge_regression_it_says():
    known, new = _candidates(ARCHS[:60], noise=0.02), ARCHS[60:80]
    predictor = fit_predictor(SPACE, known)
    scores = np.array([candidate.score for candidate in known])

    def kernel(first, second):
        x, z = ((encode_all(SPACE, archs) - predictor.centre) * predictor.scale for archs in (first, second))
        return np.array(
            [[LEVEL + (1 - predictor.pairs) * (a @ b) + predictor.pairs * (a @ b) ** 2 for b in z] for a in x]
        )

    archs = [candidate.arch for candidate in known]
    table = kernel(archs, archs) + predictor.ridge * np.eye(60)
    expected = scores.mean() + kernel(new, archs) @ np.linalg.solve(table, scores - scores.mean())
    np.testing.assert_allclose(predictor.predict(new), expected, atol=1e-8)


@pytest.mark.parametrize("score", [_main, _interacting])
def test_settings_are_those_of_the_least_error(score):
    """Encodings have a mean of 0 and a mean squared length of 1, whatever share of them the bends are."""
    known = _candidates(ARCHS[:60], score, noise=0.02)
    predictor, encoded = fit_predictor(SPACE, known), encode_all(SPACE, [candidate.arch for candidate in known])
    scores = np.array([candidate.score for candidate in known])
    errors, scales = {}, {}
    for bend, pairs in product(BENDS, PAIRS):
        scale = np.where(bends(SPACE), bend, 1.0)
        scale /= np.sqrt(np.square((encoded - encoded.mean(0)) * scale).sum(1).mean())
        linear = ((encoded - encoded.mean(0)) * scale) @ ((encoded - encoded.mean(0)) * scale).T
        kernel = LEVEL + (1 - pairs) * linear + pairs * linear**2
        errors[bend, pairs], scales[bend] = least_error(kernel, scores - scores.mean()).error, scale
    bend, pairs = min(errors, key=errors.get)
    assert predictor.pairs == pairs and predictor.loo_rmse == pytest.approx(errors[bend, pairs] ** 0.5)
    np.testing.assert_allclose(predictor.centre, encoded.mean(0))
    np.testing.assert_allclose(predictor.scale, scales[bend])


@pytest.mark.parametrize("shape", [(40, 8), (40, 39), (40, 60), (20, 0)])
def test_a_table_gives_the_fit_of_its_kernel(shape):
    random = np.random.default_rng(shape[1])
    table = np.hstack([np.full((shape[0], 1), np.sqrt(LEVEL)), random.normal(size=shape)])
    values = table[:, -1] + 0.3 * random.normal(size=shape[0])
    fit, same = least_error_of(table, values), least_error(table @ table.T, values)
    assert fit.ridge == same.ridge and fit.error == pytest.approx(same.error, rel=1e-8)
    np.testing.assert_allclose(fit.weights, same.weights, rtol=1e-6, atol=1e-9)


def test_leave_one_out_error_is_that_of_leaving_one_out():
    random = np.random.default_rng(0)
    table, values = random.normal(size=(25, 6)), random.normal(size=25)
    kernel = table @ table.T + LEVEL
    fit = least_error(kernel, values)
    missed = []
    for left in range(25):
        rest = np.delete(np.arange(25), left)
        weights = np.linalg.solve(kernel[np.ix_(rest, rest)] + fit.ridge * np.eye(24), values[rest])
        missed.append(values[left] - kernel[left, rest] @ weights)
    assert fit.error == pytest.approx(np.mean(np.square(missed)), rel=1e-6)


def test_leave_one_out_knows_more_columns_than_candidates_from_knowledge():
    """Pure noise: an interpolation of centred scores would look perfect."""
    random = Random(3)
    noise = _candidates(ARCHS[:40], lambda arch: random.gauss(0.5, 0.1))
    spread = np.std([candidate.score for candidate in noise])
    assert fit_predictor(SPACE, noise).loo_rmse > 0.8 * spread


def test_interactions_are_learned_beyond_flops_the_mean_and_main_effects():
    known, new = ARCHS[:300], ARCHS[300:]
    candidates = _candidates(known, _interacting, noise=0.005)
    scores = np.array([candidate.score for candidate in candidates])
    truth = np.array([_interacting(arch) for arch in new])
    predictor = fit_predictor(SPACE, candidates)
    flops, flops_new = (np.log([[TABLE.flops(arch)] for arch in archs]) for archs in (known, new))
    guesses = {
        "the predictor": predictor.predict(new),
        "main effects": _least_squares(encode_all(SPACE, known), encode_all(SPACE, new), scores),
        "FLOPs": _least_squares(flops, flops_new, scores),
        "the mean": np.full(len(new), scores.mean()),
    }
    own, main, by_flops, mean = (float(np.sqrt(np.mean((guess - truth) ** 2))) for guess in guesses.values())
    assert predictor.pairs > 0
    assert own < 0.5 * main and main < by_flops < mean
    rho = {name: spearmanr(guess, truth).statistic for name, guess in guesses.items() if name != "the mean"}
    assert rho["the predictor"] > 0.97 > rho["main effects"] > rho["FLOPs"]


def _least_squares(known, new, values):
    x, z = (np.hstack([np.ones((len(table), 1)), table]) for table in (known, new))
    return z @ np.linalg.lstsq(x, values, rcond=None)[0]


def test_cross_validation_is_a_loop_over_folds():
    known = _candidates(ARCHS[:45], noise=0.02)
    order = np.random.default_rng([7, 5]).permutation(45)
    expected = []
    for fold in range(5):
        held = set(order[fold::5].tolist())
        predictor = fit_predictor(SPACE, [each for each in known if each.trial not in held])
        rest = [each for each in known if each.trial in held]
        pair = predictor.predict([each.arch for each in rest]), [each.score for each in rest]
        expected.append((spearmanr(*pair).statistic, kendalltau(*pair).statistic))
    assert cross_validated_rank(SPACE, known, seed=7) == pytest.approx(tuple(np.mean(expected, axis=0)), abs=1e-9)


def test_failed_candidates_are_passed_over_and_the_same_candidates_give_the_same():
    known = _candidates(ARCHS[:40], noise=0.02)
    failed = replace(known[0], score=None, trial=40)
    first, second = fit_predictor(SPACE, known), fit_predictor(SPACE, [*known, failed])
    assert np.array_equal(first.predict(ARCHS[40:60]), second.predict(ARCHS[40:60]))
    assert first.predict([]).shape == (0,)


def test_too_few_candidates_are_refused_and_the_fewest_are_enough():
    known = _candidates(ARCHS[:40])
    with pytest.raises(UserError, match=f"{MINIMUM - 1} candidates with a score: too few"):
        fit_predictor(SPACE, known[: MINIMUM - 1])
    assert np.isfinite(fit_predictor(SPACE, known[:MINIMUM]).predict(ARCHS[:5])).all()
    with pytest.raises(UserError, match="too few for 5 folds.*at least 20"):
        cross_validated_rank(SPACE, known[:19])
    assert np.isfinite(cross_validated_rank(SPACE, known[:20])).all()
    with pytest.raises(UserError, match="at least 2 folds"):
        cross_validated_rank(SPACE, known, folds=1)


def test_equal_scores_are_predicted_and_order_nothing():
    known = _candidates(ARCHS[:25], lambda arch: 0.5)
    predictor = fit_predictor(SPACE, known)
    np.testing.assert_allclose(predictor.predict(ARCHS[25:30]), 0.5)
    # All settings are as good: the smoothest and simplest are taken.
    assert (predictor.ridge, predictor.pairs, predictor.scale[bends(SPACE)].any()) == (max(RIDGES), 0.0, False)
    assert cross_validated_rank(SPACE, known) == (0.0, 0.0)


def test_the_best_option_may_be_the_middle_one():
    predictor = fit_predictor(SPACE, _candidates(ARCHS[:300], lambda arch: 0.1 * (arch.stages[2].width == 32)))
    assert predictor.scale[bends(SPACE)].min() > 0
    arch = ARCHS[301]
    widths = [replace(arch.stages[2], width=width) for width in (24, 32, 48)]
    low, middle, high = predictor.predict([replace(arch, stages=_with(arch, 2, stage)) for stage in widths])
    assert middle > max(low, high) + 0.05


def _with(arch, index, stage):
    return (*arch.stages[:index], stage, *arch.stages[index + 1 :])
