"""Oracles: figures worked out by hand, and the loops of ``evaluation.vectors.reference``, which walk each ranking."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.retrieval.metrics import ReidScore, score_blocks, score_distances, score_features
from evaluation.retrieval.rules import CUHK03, MARKET1501, MSMT17, NO_CAMERAS, RECORDS, MatchRule
from evaluation.vectors.reference.retrieval import Labels, mean_scores, walk_queries
from reid.errors import UserError


def walk(
    distances, query_pids, query_camids, gallery_pids, gallery_camids, rule=MARKET1501, **ids
) -> dict[str, float] | None:
    """The score by the reference's loops; None where no query counts."""
    columns = (np.asarray(values).tolist() for values in (query_pids, query_camids, gallery_pids, gallery_camids))
    return mean_scores(list(walk_queries(distances, Labels(*columns, **ids), rule)))


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


def test_queries_without_a_match_are_left_out_and_counted():
    # Pid 5 is not in the gallery, pid 6 only on the query's own camera, pid 0 is nobody; pid 1 is found second.
    pids, camids = np.array([2, 1, 6, 0]), np.array([2, 2, 1, 2])
    score = score_distances(np.tile(np.arange(4.0), (4, 1)), [5, 6, 0, 1], [1, 1, 1, 1], pids, camids)
    assert (score.queries, score.skipped_queries) == (1, 3)
    assert (score.mAP, score.mAP_trapezoid, score.rank1, score.rank5, score.mINP) == (0.5, 0.25, 0, 1, 0.5)


def test_each_data_sets_rule():
    # By distance: pid -1, pid 0, the query's pid by its camera 1, then by camera 0, by camera 2.
    pids, camids = np.array([-1, 0, 3, 3, 3]), np.array([2, 2, 1, 0, 2])

    def ap(rule, pid=3, camid=1):
        return score_distances(np.arange(5.0)[None], [pid], [camid], pids, camids, rule=rule).mAP

    assert ap(MARKET1501) == pytest.approx((1 / 2 + 2 / 3) / 2)  # wrong, passed over, right, right
    assert ap(CUHK03) == ap(MSMT17) == pytest.approx((1 / 3 + 2 / 4) / 2)  # wrong, wrong, passed over, right, right
    assert ap(MSMT17, pid=0) == ap(CUHK03, pid=0) == 1 / 2  # persons like others,
    assert ap(MSMT17, pid=-1) == ap(CUHK03, pid=-1) == 1
    assert ap(NO_CAMERAS) == pytest.approx((1 / 2 + 2 / 3 + 3 / 4) / 3)  # wrong, right, right, right
    assert ap(RECORDS, camid=0) == ap(NO_CAMERAS)  # camera 0 is not known there,
    assert ap(MARKET1501, camid=0) == pytest.approx((1 / 2 + 2 / 3) / 2)  # and camera 0 here


def test_the_query_itself_is_passed_over_by_its_image_id():
    """Leave-one-out on a line: images at 0, 1, 3, 7 of persons 1, 1, 2, 1."""
    places, pids = torch.tensor([[0.0], [1.0], [3.0], [7.0]]), [1, 1, 2, 1]
    names = ["a", "b", "c", "d"]
    arguments = (places, pids, None, places, pids, None)
    options = dict(metric="euclidean", rule=NO_CAMERAS, query_ids=names, gallery_ids=names)
    # a: b right, c wrong, d right. b: a right, c wrong, d right. d: c wrong, b right, a right. c: no other image.
    score = score_features(*arguments, **options)
    assert score.mAP == pytest.approx((2 * (1 + 2 / 3) / 2 + (1 / 2 + 2 / 3) / 2) / 3)
    assert (score.rank1, score.queries, score.skipped_queries) == (pytest.approx(2 / 3), 3, 1)
    with pytest.raises(UserError, match="would find itself"):
        score_features(*arguments, metric="euclidean", rule=NO_CAMERAS)


LABEL = st.integers(-1, 3)
CAMID = st.integers(0, 2)


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


RULE = st.builds(
    MatchRule,
    st.booleans(),
    st.sampled_from(((), (-1,), (1, 2))),
    st.sampled_from(((), (0,), (2,))),
    st.sampled_from(((), (0,))),
)


@settings(max_examples=200, deadline=None)
@given(retrievals(), st.integers(1, 6), RULE, st.data())
def test_equals_the_loop(retrieval, block, rule, data):
    distances, query_pids, _, gallery_pids, _ = retrieval
    ids = {}
    if data.draw(st.booleans()):  # a query is some gallery image of its identity, or none of them
        ids["gallery_ids"] = [f"image {place}" for place in range(len(gallery_pids))]
        own = [[f"image {place}" for place in np.flatnonzero(gallery_pids == pid)] for pid in query_pids]
        ids["query_ids"] = [data.draw(st.sampled_from([f"query {n}", *images])) for n, images in enumerate(own)]
    expected = walk(*retrieval, rule, **ids)
    blocks = [distances[start : start + block] for start in range(0, len(distances), block)]
    if expected is None:
        with pytest.raises(UserError, match="no query has a right answer"):
            score_distances(*retrieval, block=block, rule=rule, **ids)
    else:
        for score in (
            score_distances(*retrieval, block=block, rule=rule, **ids),
            score_blocks(map(torch.from_numpy, blocks), *retrieval[1:], rule=rule, **ids),
        ):
            assert score.as_dict() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(retrievals())
def test_with_every_gallery_image_twice(retrieval):
    """What stood at rank r stands at 2r - 1 and 2r then."""
    distances, *labels = retrieval
    if walk(*retrieval) is None:
        return
    one = score_distances(distances, *labels)
    two = score_distances(np.repeat(distances, 2, axis=1), *labels[:2], *(np.repeat(label, 2) for label in labels[2:]))
    assert (two.rank1, two.rank10, two.rank20, two.mINP) == (one.rank1, one.rank5, one.rank10, one.mINP)
    assert (two.queries, two.skipped_queries) == (one.queries, one.skipped_queries)


@pytest.mark.parametrize("spread", [0.0, 1.5, 3.0])
@pytest.mark.parametrize("size, identities", [(700, 12), (3000, 300)])
def test_equals_the_loop_on_a_larger_gallery(spread, size, identities):
    """Some 60 right answers are ranked by sorting, 10 by counting; with the spread, the right
    answers come first and most of each row is cut away in between.
    """
    random = np.random.default_rng(5)
    query_pids, gallery_pids = random.integers(0, identities, 40), random.integers(-1, identities, size)
    query_camids, gallery_camids = random.integers(1, 7, 40), random.integers(1, 7, size)
    distances = random.normal(size=(40, size)).round(2)  # rounded: plenty of ties
    distances += spread * (query_pids[:, None] != gallery_pids)
    labels = query_pids, query_camids, gallery_pids, gallery_camids
    expected = walk(distances, *labels)
    assert score_distances(distances, *labels).as_dict() == pytest.approx(expected, abs=1e-12)
    tensors = [torch.from_numpy(label) for label in labels]
    assert score_distances(torch.from_numpy(distances), *tensors).as_dict() == pytest.approx(expected, abs=1e-12)


def test_a_large_identity_costs_no_loop_over_its_images():
    """Two identities of 20,000 images each: ranks by sorting; the oracle is the order of a sorted row."""
    random = np.random.default_rng(2)
    distances = random.random((2, 40_000), dtype=np.float32)
    pids, camids = random.integers(1, 3, 40_000), np.full(40_000, 2)
    hits = (pids[np.argsort(distances, axis=1, kind="stable")] == np.array([[1], [2]])).astype(float)
    precision = hits.cumsum(axis=1) / np.arange(1, 40_001)
    expected = ((precision * hits).sum(axis=1) / hits.sum(axis=1)).mean()
    assert score_distances(distances, [1, 2], [1, 1], pids, camids).mAP == pytest.approx(expected, abs=1e-12)


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
    assert score_features(query.numpy(), *labels[:2], gallery.numpy(), *labels[2:], metric=metric) == score


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
        (np.zeros((1, 2)), ([9], [1], [1, 2], [2, 2]), "no query's identity occurs in it"),
        (np.zeros((1, 2)), ([1], [1], [1, 2], [1, 2]), "use the rule NO_CAMERAS"),
        (np.zeros((2, 2)), ([1, 9], [1, 1], [1, 2], [1, 2]), "use the rule NO_CAMERAS"),
    ],
)
def test_unusable_input_is_named(distances, labels, message):
    with pytest.raises(UserError, match=message):
        score_distances(distances, *labels)


@pytest.mark.parametrize(
    "blocks, message",
    [
        ([], "distances of 0 queries, but labels of 2"),
        ([np.zeros((1, 3))], "distances of 1 queries, but labels of 2"),
        ([np.zeros((1, 3)), np.zeros((2, 3))], "distances of at least 3 queries, but labels of 2"),
        ([np.zeros((2, 4))], r"shape \(2, 4\), but a row must have 3"),
        ([np.zeros(3)], r"shape \(3,\), but a row"),
        ([np.zeros((1, 3)), np.array([[0, np.nan, 0]])], "NaN"),
        ([np.zeros((1, 3)), np.array([[0, 0, np.nan]])], "NaN"),  # in a column that is not ranked
    ],
)
def test_unusable_blocks_are_named(blocks, message):
    with pytest.raises(UserError, match=message):
        score_blocks(blocks, [1, 1], [1, 1], [1, 2, -1], [2, 2, 2])


@pytest.mark.parametrize("block", [0, -1])
def test_blocks_of_no_query_are_refused(block):
    with pytest.raises(UserError, match="block must be at least 1"):
        score_distances(np.zeros((1, 1)), [1], [1], [1], [2], block=block)
    with pytest.raises(UserError, match="block must be at least 1"):
        score_features(torch.zeros(1, 2), [1], [1], torch.ones(1, 2), [1], [2], block=block)


@pytest.mark.parametrize(
    "query, gallery, metric, message",
    [
        (torch.zeros(1, 4), torch.zeros(2, 5), "cosine", "features must have shapes"),
        (torch.zeros(2, 4), torch.zeros(2, 4), "cosine", "but labels for"),
        (torch.zeros(1, 4), torch.zeros(2, 4), "manhattan", "metric 'manhattan' is unknown"),
        (torch.zeros(1, 4), torch.full((2, 4), float("nan")), "cosine", "gallery features contain NaN"),
    ],
)
def test_unusable_features_are_named(query, gallery, metric, message):
    with pytest.raises(UserError, match=message):
        score_features(query, [1], [1], gallery, [1, 2], [2, 2], metric=metric)
