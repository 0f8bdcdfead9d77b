"""Candidates scored by what is learnt from trainings."""

from __future__ import annotations

import math
from random import Random

import pytest

from search.costs import CostTable
from search.predictor.alone import TrainedArch, fit_alone
from search.scoring.learned import LearnedEvaluator
from supernet.files import load_space
from supernet.space import decode
from supernet.space.genome import sample

SPACE = load_space("tiny")
TABLE = CostTable()
ARCHS = [decode(SPACE, sample(SPACE, Random(seed))) for seed in range(12)]


def _predictor(supernet: bool):
    random = Random(0)
    scores = [random.random() for _ in ARCHS]
    rows = [
        TrainedArch(arch, TABLE.flops(arch), score if supernet else None, score)
        for arch, score in zip(ARCHS, scores, strict=True)
    ]
    return fit_alone(SPACE, rows)


def test_the_supernet_is_not_run_where_its_score_is_not_taken():
    def never(arch):
        raise AssertionError("the supernet was run")

    predictor = _predictor(supernet=False)
    evaluate = LearnedEvaluator(predictor, TABLE.flops, never)
    expected = predictor.predict(ARCHS[:1], [TABLE.flops(ARCHS[0])])[0]
    assert evaluate(ARCHS[0]) == {"default": pytest.approx(expected)}


def test_the_supernets_score_is_a_feature_and_no_number_stays_none():
    predictor = _predictor(supernet=True)
    assert predictor.takes_supernet
    evaluate = LearnedEvaluator(predictor, TABLE.flops, lambda arch: {"default": 0.7, "rank1": 0.9})
    expected = predictor.predict(ARCHS[:1], [TABLE.flops(ARCHS[0])], [0.7])[0]
    assert evaluate(ARCHS[0]) == {"default": pytest.approx(expected), "supernet": 0.7}
    broken = LearnedEvaluator(predictor, TABLE.flops, lambda arch: {"default": float("nan")})
    assert math.isnan(broken(ARCHS[0])["default"])
