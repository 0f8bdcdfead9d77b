"""What is learnt from archs that were trained alone."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from scipy.stats import kendalltau

from reid.errors import UserError
from search.costs import CostTable
from search.predictor.alone import FEWEST, TrainedArch, fit_alone
from search.predictor.encoding import encode_all
from search.predictor.ridge import LEVEL
from supernet.files import load_space
from supernet.space import decode
from supernet.space.genome import sample

SPACE = load_space("tiny")
TABLE = CostTable()


def _worth(arch) -> float:
    """Wide stems are good and deep last stages bad, at any FLOPs."""
    return 0.5 + 0.004 * arch.stem - 0.03 * len(arch.stages[-1].blocks) + 0.0005 * arch.stages[2].width


def _trained(count: int, seed: int = 0, supernet=None, noise: float = 0.003) -> list[TrainedArch]:
    random, trained = Random(seed), []
    for _ in range(count):
        arch = decode(SPACE, sample(SPACE, random))
        score = _worth(arch) + random.gauss(0, noise)
        trained.append(TrainedArch(arch, TABLE.flops(arch), supernet and supernet(arch, score, random), score))
    return trained


def test_unseen_archs_are_ordered_by_what_trainings_show():
    predictor = fit_alone(SPACE, _trained(20))
    others = [decode(SPACE, sample(SPACE, Random(seed))) for seed in range(1000, 1200)]
    predicted = predictor.predict(others, [TABLE.flops(arch) for arch in others])
    assert kendalltau(predicted, [_worth(arch) for arch in others]).statistic > 0.7
    assert np.abs(predicted - [_worth(arch) for arch in others]).mean() < 0.02


def test_left_out_is_what_a_fit_to_the_others_says():
    """Its settings too: chosen with an arch in sight, they make its prediction better than any stranger's is."""
    trained = _trained(FEWEST + 1, 0, lambda arch, score, random: score + random.gauss(0, 0.01), noise=0.01)
    predictor = fit_alone(SPACE, trained)
    for index, each in enumerate(trained):
        others = fit_alone(SPACE, trained[:index] + trained[index + 1 :])
        expected = others.predict([each.arch], [each.flops], [each.supernet])
        level = predictor.scores.mean() - others.scores.mean()
        assert predictor.left_out[index] == pytest.approx(expected[0] + level, abs=1e-9)


@pytest.mark.parametrize("seed", [3, 4])
def test_where_nothing_is_learnt_there_is_no_order(seed):
    """The mean of the others alone would order all archs the wrong way round."""
    random = Random(seed)
    rows = [replace(each, score=random.gauss(0.6, 0.03)) for each in _trained(16, seed)]
    predictor = fit_alone(SPACE, rows)
    assert abs(kendalltau(predictor.left_out, predictor.scores).statistic) < 0.5


def test_the_known_archs_are_predicted_by_the_plain_formula():
    trained = _trained(12)
    predictor = fit_alone(SPACE, trained)
    archs, flops = [each.arch for each in trained], [each.flops for each in trained]
    features = np.column_stack([encode_all(SPACE, archs), np.log(flops), np.zeros(12)])
    known = (features - features.mean(0)) * predictor.fit.scale
    np.testing.assert_allclose(known, predictor.fit.known, atol=1e-12)
    parts = np.square(known).mean(0)
    assert parts[:-2].sum() == pytest.approx(1) and parts[-2] == pytest.approx(predictor.fit.flops_weight)
    expected = predictor.fit.mean + (LEVEL + known @ known.T) @ predictor.fit.weights
    np.testing.assert_allclose(predictor.predict(archs, flops), expected)


def test_the_supernet_is_listened_to_where_it_knows_something():
    def knows(arch, score, random):
        return score + random.gauss(0, 0.0005)

    trained = _trained(20, 1, knows, noise=0.05)  # the noise is the archs' own here: no choice tells it
    predictor = fit_alone(SPACE, trained)
    assert predictor.takes_supernet
    low, high = predictor.predict([trained[0].arch] * 2, [trained[0].flops] * 2, [0.4, 0.6])
    assert high - low > 0.1
    with pytest.raises(ValueError, match="takes the supernet's scores"):
        predictor.predict([trained[0].arch], [trained[0].flops])


def test_too_few_archs_are_refused():
    with pytest.raises(
        UserError, match=f"{FEWEST - 1} trained archs are too few to learn from; at least {FEWEST} are needed"
    ):
        fit_alone(SPACE, _trained(FEWEST - 1))
