from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from evaluation.retrieval.metrics import score_distances
from reid.engine.doctor import random_level
from reid.engine.doctor.random_level import expected_average_precision
from reid.errors import UserError


@pytest.mark.parametrize("ranked", range(1, 8))
def test_formula_against_all_orders(ranked):
    for right in range(1, ranked + 1):
        total, count = 0.0, 0
        for order in set(permutations([1] * right + [0] * (ranked - right))):
            hits = np.flatnonzero(order) + 1
            total += np.mean(np.arange(1, right + 1) / hits)
            count += 1
        formula = expected_average_precision(np.array([right]), np.array([ranked]))
        assert formula[0] == pytest.approx(total / count, abs=1e-12)


def labels(seed: int):
    """Queries and gallery with junk, distractors, images at the query's own camera, and a query without an answer."""
    rng = np.random.default_rng(seed)
    query = torch.tensor([1, 1, 2, 3, 9]), torch.tensor([1, 2, 1, 3, 1])
    gallery = torch.from_numpy(rng.choice([-1, 0, 1, 2, 3, 4], 40)), torch.from_numpy(rng.integers(1, 4, 40))
    return *query, *gallery


@pytest.mark.parametrize("seed", range(3))
def test_whole_labels_against_random_distances(seed):
    """The mean score of random distance matrices by the product's own metric, within five standard errors."""
    given = labels(seed)
    rng = np.random.default_rng(100)
    scores = [score_distances(rng.random((5, 40)), *given) for _ in range(600)]
    level = random_level(*given)
    assert level.queries == scores[0].queries
    for name in ("mAP", "rank1"):
        values = np.array([getattr(score, name) for score in scores])
        assert getattr(level, name) == pytest.approx(values.mean(), abs=5 * values.std() / len(values) ** 0.5)


def test_unknown_cameras_pass_nothing_over():
    pids, none = torch.tensor([1, 2]), torch.zeros(2, dtype=torch.int64)
    level = random_level(pids, none, pids, none)
    assert level.rank1 == 0.5 and level.mAP == pytest.approx(0.75)


def test_refuses_labels_without_an_answer():
    one = torch.tensor([1])
    with pytest.raises(UserError, match="no query has a right answer"):
        random_level(one, one, one, one)
