"""Ranked lists and the choice of queries, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.retrieval.labeled_features import LabeledFeatures, RetrievalFeatures
from evaluation.retrieval.lists import choose_queries, query_scores, ranked_lists
from evaluation.retrieval.rules import RECORDS
from evaluation.retrieval.scores import QueryScores
from reid.errors import UserError


def features(query, gallery, ids=(None, None)) -> RetrievalFeatures:
    """Each side as ``(vectors, pids, camids)``."""
    sides = [
        LabeledFeatures(torch.tensor(vectors, dtype=torch.float32), torch.tensor(pids), torch.tensor(camids), names)
        for (vectors, pids, camids), names in zip((query, gallery), ids, strict=True)
    ]
    return RetrievalFeatures(*sides, RECORDS)


def by_hand(query, gallery, pid, camid, pids, camids):
    """Gallery positions in order and which are right, by the official rule; whole numbers make distances exact."""
    squares = ((np.array(gallery) - np.array(query)) ** 2).sum(axis=1)
    junk = [p == -1 or (p == pid and camid != 0 and c == camid) for p, c in zip(pids, camids, strict=True)]
    order = [place for place in np.argsort(squares, kind="stable").tolist() if not junk[place]]
    passed = sum(j and p == pid for j, p in zip(junk, pids, strict=True))
    return order, [pids[place] == pid for place in order], np.sqrt(squares), passed


def side(count):
    """With persons 1 to 3, junk -1, distractors 0, and cameras of which 0 is not known."""
    return st.tuples(
        st.lists(st.lists(st.integers(-3, 3), min_size=2, max_size=2), min_size=count, max_size=count),
        st.lists(st.integers(-1, 3), min_size=count, max_size=count),
        st.lists(st.integers(0, 2), min_size=count, max_size=count),
    )


@settings(deadline=None, max_examples=50)
@given(side(3), side(9), st.integers(1, 12))
def test_lists_are_those_of_a_loop(query, gallery, top):
    query = (query[0], [abs(pid) or 1 for pid in query[1]], query[2])
    whole = features(query, gallery)
    expected = [
        by_hand(vector, gallery[0], pid, camid, gallery[1], gallery[2])
        for vector, pid, camid in zip(*query, strict=True)
    ]
    if not any(any(right) for _, right, *_ in expected):
        with pytest.raises(UserError, match="no query has a right answer"):
            query_scores(whole, "euclidean")
        return
    lists = ranked_lists(whole, [2, 0, 1], top, query_scores(whole, "euclidean"), "euclidean")
    assert [each.query for each in lists] == [2, 0, 1]
    for found in lists:
        order, right, distances, passed = expected[found.query]
        assert found.gallery.tolist() == order[:top] and found.right.tolist() == right[:top]
        assert found.distances == pytest.approx(distances[order[:top]], abs=1e-6)
        assert found.passed_over == passed
        places = np.flatnonzero(right) + 1
        if len(places):
            assert found.first_rank == places[0]
            assert found.ap == pytest.approx(np.mean(np.arange(1, len(places) + 1) / places))
        else:
            assert found.first_rank is None and found.ap is None


def test_the_query_itself_is_passed_over_where_it_is_in_the_gallery_too():
    vectors, pids, camids = [[1, 0], [0, 1], [1, 1]], [1, 1, 2], [0, 0, 0]
    names = np.array(["a", "b", "c"])
    whole = features((vectors, pids, camids), (vectors, pids, camids), (names, names))
    (found,) = ranked_lists(whole, [0], 5, query_scores(whole))
    assert found.gallery.tolist() == [2, 1] and found.right.tolist() == [False, True]
    assert found.distances == pytest.approx([1 - 0.5**0.5, 1], abs=1e-6) and found.passed_over == 1


def test_lists_agree_with_scores_on_many_queries():
    """More queries than a block holds, and features whose distances are all but equal."""
    draw = np.random.default_rng(0)
    query = (draw.normal(size=(700, 8)), draw.integers(1, 40, 700), draw.integers(1, 4, 700))
    gallery = (draw.normal(size=(900, 8)) * 1e-3 + query[0][0], draw.integers(1, 40, 900), draw.integers(1, 4, 900))
    whole = features(query, gallery)
    scores = query_scores(whole)
    chosen = [3, 511, 512, 699]
    for found in ranked_lists(whole, chosen, 900, scores):
        assert np.flatnonzero(found.right)[0] + 1 == found.first_rank
        places = np.flatnonzero(found.right) + 1
        assert found.ap == pytest.approx(np.mean(np.arange(1, len(places) + 1) / places))
        assert len(found.gallery) == 900 - found.passed_over


PIDS = torch.tensor([5, 6, 5, 7, 8, 6])
AP = [0.5, 0.2, 0.5, 0.9, 0.1]
SCORES = QueryScores(np.array([0, 1, 2, 3, 5]), np.array(AP), np.array(AP), np.array(AP), np.ones(5, dtype=np.int64))
"""Query 4 has no right answer."""


def test_worst_comes_first_and_equal_ones_in_order():
    assert choose_queries(PIDS, SCORES, worst=True) == [5, 1, 0, 2, 3]
    assert choose_queries(PIDS, SCORES, 2, worst=True) == [5, 1]
    assert choose_queries(PIDS, SCORES, persons=[7, 5, 8], worst=True) == [0, 2, 3]


def test_persons_and_the_draw():
    assert choose_queries(PIDS, SCORES, persons=[6, 8]) == [1, 4, 5]
    assert choose_queries(PIDS, SCORES) == [0, 1, 2, 3, 5]
    drawn = {tuple(choose_queries(PIDS, SCORES, 2, seed=seed)) for seed in range(20)}
    assert len(drawn) > 5 and all(list(each) == sorted(each) and 4 not in each and len(each) == 2 for each in drawn)
    assert choose_queries(PIDS, SCORES, 2, seed=9) == choose_queries(PIDS, SCORES, 2, seed=9)
