"""Per-query scores and the printed line, against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.retrieval.ranks import HitRanks
from evaluation.retrieval.scores import mean_score, score_queries

HITS = HitRanks(queries=4, counted=np.array([0, 2]), counts=np.array([2, 1]), ranks=np.array([1, 4, 2]))
"""Query 0 has right answers at ranks 1 and 4, query 2 at rank 2; queries 1 and 3 have none."""


def test_scores_of_each_query():
    scores = score_queries(HITS)
    assert scores.counted.tolist() == [0, 2]
    assert scores.ap == pytest.approx([(1 + 2 / 4) / 2, 1 / 2])
    assert scores.ap_trapezoid == pytest.approx([(1 + (1 / 3 + 2 / 4) / 2) / 2, 1 / 4])
    assert scores.inp == pytest.approx([2 / 4, 1 / 2])
    assert scores.first_rank.tolist() == [1, 2]


def test_the_printed_line_names_both_aps_the_step_first():
    line = str(mean_score(score_queries(HITS), skipped=2))
    assert line == (
        "mAP (step) 62.5 %, mAP (trapezoid) 47.9 %, Rank-1 50.0 %, Rank-5 100.0 %, Rank-10 100.0 %, Rank-20 100.0 %, "
        "mINP 50.0 %; 2 queries, 2 left out (no right answer in the gallery)"
    )


@pytest.mark.parametrize("rank, found", [(1, 4), (2, 3), (5, 3), (6, 2), (10, 2), (11, 1), (20, 1), (21, 0)])
def test_a_right_answer_in_the_last_place_that_counts_is_found(rank, found):
    score = mean_score(score_queries(HitRanks(1, np.array([0]), np.array([1]), np.array([rank]))))
    shares = [score.rank1, score.rank5, score.rank10, score.rank20]
    assert shares == [0.0] * (4 - found) + [1.0] * found
