"""Oracles: figures worked out by hand, and a loop that walks each ranking the way the MATLAB toolbox's
compute_AP does.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics import ReidScore, score_distances, score_features
from reid.errors import UserError


def walk(distances, query_pids, query_camids, gallery_pids, gallery_camids) -> dict[str, float] | None:
    """The score by plain loops over the sorted gallery; None where no query counts."""
    total = dict.fromkeys(("mAP", "mAP_trapezoid", "rank1", "rank5", "rank10", "rank20", "mINP"), 0.0)
    counted = 0
    for row, pid, camid in zip(distances, query_pids, query_camids, strict=True):
        order = sorted(range(len(row)), key=lambda place: (row[place], place))
        ranking = []
        for place in order:
            if gallery_pids[place] == -1:
                continue
            if gallery_pids[place] == pid and gallery_camids[place] == camid:
                continue
            ranking.append(gallery_pids[place] == pid and pid != 0)
        right = sum(ranking)
        if right == 0:
            continue
        counted += 1
        found, old_recall, old_precision = 0, 0.0, 1.0
        for rank, hit in enumerate(ranking, start=1):
            found += hit
            recall, precision = found / right, found / rank
            total["mAP_trapezoid"] += (recall - old_recall) * (old_precision + precision) / 2
            old_recall, old_precision = recall, precision
            if hit:
                total["mAP"] += precision / right
                if found == 1:
                    for limit in (1, 5, 10, 20):
                        total[f"rank{limit}"] += rank <= limit
                if found == right:
                    total["mINP"] += right / rank
    if not counted:
        return None
    score = {key: value / counted for key, value in total.items()}
    return score | {"queries": counted, "skipped_queries": len(query_pids) - counted}


def one_query(hits: set[int], size: int) -> ReidScore:
    """One query whose right answers stand at the ranks ``hits`` among ``size``."""
    pids = np.array([7 if rank in hits else 8 for rank in range(1, size + 1)])
    return score_distances(np.arange(size, dtype=float)[None], [7], [1], pids, np.full(size, 2))


def test_hits_at_1_2_4_7():
    score = one_query({1, 2, 4, 7}, 10)
    assert score.mAP == pytest.approx((1 + 1 + 3 / 4 + 4 / 7) / 4)
    assert round(score.mAP, 6) == 0.830357
    assert score.mAP_trapezoid == pytest.approx((1 + 1 + (2 / 3 + 3 / 4) / 2 + (3 / 6 + 4 / 7) / 2) / 4)
    assert score.mINP == pytest.approx(4 / 7)
    assert (score.rank1, score.rank5, score.queries, score.skipped_queries) == (1, 1, 1, 0)


def test_one_late_hit():
    score = one_query({11}, 30)
    assert score.mAP == pytest.approx(1 / 11)
    assert score.mAP_trapezoid == pytest.approx(1 / 22)
    assert (score.rank1, score.rank5, score.rank10, score.rank20) == (0, 0, 0, 1)


def test_junk_is_passed_over_and_distractors_are_wrong():
    # By distance: same camera (passed over), -1 (dropped), 0 (wrong), right, wrong, right.
    pids, camids = np.array([3, -1, 0, 3, 4, 3]), np.array([1, 2, 2, 2, 2, 5])
    score = score_distances(np.arange(6.0)[None], np.array([3]), np.array([1]), pids, camids)
    assert score.mAP == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert (score.rank1, score.rank5) == (0, 1)


def test_ties_go_by_the_gallerys_order():
    zeros = np.zeros((1, 3))
    assert score_distances(zeros, [1], [1], [1, 2, 2], [2, 2, 2]).mAP == 1
    assert score_distances(zeros, [1], [1], [2, 2, 1], [2, 2, 2]).mAP == pytest.approx(1 / 3)


LABEL = st.integers(-1, 3)
CAMID = st.integers(1, 2)


@st.composite
def retrievals(draw):
    queries, gallery = draw(st.integers(1, 5)), draw(st.integers(1, 25))
    value = draw(
        st.sampled_from(
            (st.integers(-2, 2).map(float), st.floats(-4, 4, width=32), st.just(0.5), st.just(float("inf")))
        )
    )
    labels = [
        np.array(draw(st.lists(kind, min_size=count, max_size=count)))
        for count in (queries, gallery)
        for kind in (LABEL, CAMID)
    ]
    rows = draw(st.lists(st.lists(value, min_size=gallery, max_size=gallery), min_size=queries, max_size=queries))
    return np.array(rows, dtype=draw(st.sampled_from((np.float32, np.float64)))), *labels


@settings(max_examples=200, deadline=None)
@given(retrievals(), st.integers(1, 6))
def test_equals_the_loop(retrieval, block):
    expected = walk(*retrieval)
    if expected is None:
        with pytest.raises(UserError, match="no query has a right answer"):
            score_distances(*retrieval, block=block)
    else:
        assert score_distances(*retrieval, block=block).as_dict() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_equals_the_loop_on_a_larger_gallery(spread):
    """Spread 3 puts the right answers first, so that most of each row is cut away before ranks are counted."""
    random = np.random.default_rng(5)
    query_pids, gallery_pids = random.integers(0, 12, 40), random.integers(-1, 12, 700)
    query_camids, gallery_camids = random.integers(1, 7, 40), random.integers(1, 7, 700)
    distances = random.normal(size=(40, 700)).round(2)  # rounded: plenty of ties
    distances += spread * (query_pids[:, None] != gallery_pids)
    labels = query_pids, query_camids, gallery_pids, gallery_camids
    expected = walk(distances, *labels)
    assert score_distances(distances, *labels).as_dict() == pytest.approx(expected, abs=1e-12)
    tensors = [torch.from_numpy(label) for label in labels]
    assert score_distances(torch.from_numpy(distances), *tensors).as_dict() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_features_equal_their_distance_matrix(metric):
    random = torch.Generator().manual_seed(3)
    query = torch.randn(23, 8, generator=random)
    gallery = torch.randn(150, 8, generator=random) + 0.5
    labels = [torch.randint(1, high, (count,), generator=random) for count in (23, 150) for high in (9, 4)]
    if metric == "cosine":
        distances = 1 - torch.nn.functional.cosine_similarity(query.double()[:, None], gallery.double()[None], dim=2)
    else:
        distances = torch.cdist(query.double(), gallery.double(), compute_mode="donot_use_mm_for_euclid_dist")
    expected = score_distances(distances, *labels).as_dict()
    for block in (1, 5, 512):
        score = score_features(query, *labels[:2], gallery, *labels[2:], metric=metric, block=block)
        assert score.as_dict() == pytest.approx(expected, abs=1e-12)


def test_cosine_and_euclidean_differ_where_lengths_do():
    query, gallery = torch.tensor([[1.0, 0.0]]), torch.tensor([[9.0, 0.0], [0.5, 0.5]])
    labels = [1], [1], [1, 2], [2, 2]
    scores = [
        score_features(query, *labels[:2], gallery, *labels[2:], metric=metric).rank1
        for metric in ("cosine", "euclidean")
    ]
    assert scores == [1, 0]


@pytest.mark.parametrize(
    "distances, labels, message",
    [
        (np.zeros((2, 3)), ([1], [1], [1, 2, 3], [2, 2, 2]), "shape"),
        (np.zeros(3), ([1], [1], [1, 2, 3], [2, 2, 2]), "shape"),
        (np.zeros((1, 3)), ([1], [1, 2], [1, 2, 3], [2, 2, 2]), "query has 1 pids but 2 camids"),
        (np.zeros((1, 3)), ([[1]], [1], [1, 2, 3], [2, 2, 2]), "query pids"),
        (np.array([[0.0, np.nan]]), ([1], [1], [1, 2], [2, 2]), "NaN"),
        (np.zeros((1, 2)), ([1], [1], [1, 1], [1, 1]), "no query has a right answer"),
        (np.zeros((1, 2)), ([5], [1], [-1, -1], [2, 2]), "no query has a right answer"),
        (np.zeros((0, 2)), ([], [], [1, 2], [2, 2]), "query is empty"),
        (np.zeros((1, 0)), ([1], [1], [], []), "gallery is empty"),
    ],
)
def test_unusable_input_is_named(distances, labels, message):
    with pytest.raises(UserError, match=message):
        score_distances(distances, *labels)


@pytest.mark.parametrize(
    "query, gallery, metric, message",
    [
        (torch.zeros(1, 4), torch.zeros(2, 5), "cosine", "features must be"),
        (torch.zeros(2, 4), torch.zeros(2, 4), "cosine", "but labels for"),
        (torch.zeros(1, 4), torch.zeros(2, 4), "manhattan", "metric 'manhattan' is unknown"),
        (torch.zeros(1, 4), torch.full((2, 4), float("nan")), "cosine", "gallery features hold NaN"),
    ],
)
def test_unusable_features_are_named(query, gallery, metric, message):
    with pytest.raises(UserError, match=message):
        score_features(query, [1], [1], gallery, [1, 2], [2, 2], metric=metric)
