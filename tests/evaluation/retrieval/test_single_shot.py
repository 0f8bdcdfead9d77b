"""The expected CMC against every possible draw, one after another."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evaluation.retrieval.distances import pairwise_distances
from evaluation.retrieval.labeled_features import LabeledFeatures, RetrievalFeatures
from evaluation.retrieval.metrics import score_features
from evaluation.retrieval.rules import RECORDS
from evaluation.retrieval.single_shot import single_shot_score
from evaluation.vectors.reference.retrieval import Labels
from evaluation.vectors.reference.single_shot import every_draw
from reid.errors import UserError


def mean_of_draws(features: RetrievalFeatures) -> list[float]:
    """Rank-1, 5, 10, 20 by the reference's enumeration."""
    query, gallery = features.query, features.gallery
    distances = pairwise_distances(query.features, gallery.features, "euclidean").tolist()
    labels = (values.tolist() for side in (query, gallery) for values in (side.pids, side.camids))
    score = every_draw(distances, Labels(*labels), features.rule)
    return [score[name] for name in ("rank1", "rank5", "rank10", "rank20")]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("block", [1, 128])
def test_expectation_is_the_mean_of_all_draws(seed, block):
    random = np.random.default_rng(seed)
    pids = torch.tensor([1, 2, 3, 3, 2, 1, 4, 5, 6, 5, 0, 0, -1, 1, 7])
    values = torch.from_numpy(random.integers(0, 5, (len(pids), 2)).astype(np.float32))  # many equal distances
    gallery = LabeledFeatures(values, pids, torch.from_numpy(random.integers(1, 3, len(pids))))
    query = LabeledFeatures(
        torch.from_numpy(random.integers(0, 5, (6, 2)).astype(np.float32)),
        torch.tensor([1, 2, 3, 5, 9, 1]),
        torch.tensor([1, 1, 1, 2, 1, 2]),
    )
    features = RetrievalFeatures(query, gallery, RECORDS)
    score = single_shot_score(features, "euclidean", block=block)
    assert [score.rank1, score.rank5, score.rank10, score.rank20] == pytest.approx(mean_of_draws(features), abs=1e-12)
    assert score.queries + score.skipped_queries == 6 and score.skipped_queries >= 1


def test_one_image_each_is_the_ordinary_cmc():
    random = torch.Generator().manual_seed(0)
    sides = [
        LabeledFeatures(torch.randn(30, 4, generator=random), torch.arange(30) + 1, torch.full((30,), camera))
        for camera in (1, 2)
    ]
    score = single_shot_score(RetrievalFeatures(*sides, RECORDS))
    plain = score_features(
        sides[0].features, sides[0].pids, sides[0].camids, sides[1].features, sides[1].pids, sides[1].camids
    )
    for rank in ("rank1", "rank5", "rank10", "rank20"):
        assert getattr(score, rank) == pytest.approx(getattr(plain, rank))


def test_no_right_answer_at_all():
    one = LabeledFeatures(torch.ones(2, 3), torch.tensor([1, 2]), torch.tensor([1, 1]))
    with pytest.raises(UserError, match="no query has a right answer"):
        single_shot_score(RetrievalFeatures(one, one, RECORDS))
