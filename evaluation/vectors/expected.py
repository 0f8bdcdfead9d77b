"""The expected results of a case, computed by the reference."""

from __future__ import annotations

from typing import Any

from evaluation.vectors.case import Case
from evaluation.vectors.reference.pairs import area, equal_error_rate, roc_points, split_pairs, threshold_at, tpr_at
from evaluation.vectors.reference.reranking import rerank
from evaluation.vectors.reference.retrieval import mean_scores, walk_queries
from evaluation.vectors.reference.single_shot import every_draw

PER_QUERY = ("ap", "ap_trapezoid", "inp", "first_rank")

DIGITS = 12
"""Decimals of re-ranked distances: exponentials differ in the last digits from one C library to another."""


def expected_results(case: Case) -> dict[str, Any]:
    """The case's results by the loops of ``evaluation.vectors.reference``, as JSON.

    ``per_query`` has a value for each query, null for those that are not counted; ``scores`` the means under the names
    of ``score.json``; ``verification``, ``threshold`` and ``single_shot`` likewise; ``reranked`` for each name of
    ``case.reranking`` a row of distances for each query, to the gallery without junk.
    """
    distances, labels = case.distances(), case.labels()
    walks = list(walk_queries(distances, labels, case.rule))
    genuine, impostors = split_pairs(distances, labels, case.rule)
    points = roc_points(genuine, impostors)
    results: dict[str, Any] = {
        "per_query": {name: [walk and getattr(walk, name) for walk in walks] for name in PER_QUERY},
        "scores": mean_scores(walks),
        "verification": {
            "genuine": len(genuine),
            "impostors": len(impostors),
            "eer": equal_error_rate(points),
            "auc": area(genuine, impostors),
            "tpr_at_fmr": {rate: tpr_at(points, float(rate)) for rate in case.false_match_rates},
        },
        "threshold": threshold_at(genuine, impostors, case.threshold_rate),
    }
    if case.single_gallery_shot:
        results["single_shot"] = every_draw(distances, labels, case.rule)
    if case.reranking:
        squares, queries = case.squares(), len(case.query.pids)
        results["reranked"] = {
            name: rerank(squares, queries, of.k1, of.k2, of.weight).round(DIGITS).tolist()
            for name, of in case.reranking.items()
        }
    return results
