"""Ranked lists: the top of a query's ranking, image by image, and the choice of queries to look at."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from evaluation.retrieval.distances import pairwise_distances
from evaluation.retrieval.labeled_features import RetrievalFeatures
from evaluation.retrieval.matching import Matching, match
from evaluation.retrieval.metrics import feature_blocks
from evaluation.retrieval.ranks import hit_ranks
from evaluation.retrieval.scores import QueryScores, score_queries


@dataclass(frozen=True, eq=False)
class RankedList:
    """The top of one query's ranking; images that are passed over are not in it and take no rank.

    Attributes:
        query: position among the queries.
        gallery: ``(k,) int64`` positions in the gallery, nearest first; shorter where the gallery is.
        right: ``(k,) bool``, whether they are of the query's identity.
        distances: ``(k,) float32``, by the metric.
        passed_over: images of the query's identity that do not count for it (its own camera's, or the query itself).
        ap: step-wise average precision; None where the gallery has no right answer.
        first_rank: rank of the first right answer, from 1, wherever it is; None likewise.
    """

    query: int
    gallery: np.ndarray
    right: np.ndarray
    distances: np.ndarray
    passed_over: int
    ap: float | None
    first_rank: int | None


def query_scores(features: RetrievalFeatures, metric: str = "cosine") -> QueryScores:
    """The scores whose means ``evaluation.protocols.evaluate_features`` reports, of each query by itself.

    Raises:
        UserError: as ``evaluation.retrieval.metrics.score_features``.
    """
    matching = _match(features)
    hits = hit_ranks(_blocks(matching, features, metric), matching)
    if not len(hits.counted):
        raise matching.nothing_right()
    return score_queries(hits)


def choose_queries(
    pids: torch.Tensor,
    scores: QueryScores,
    count: int | None = None,
    persons: Collection[int] = (),
    worst: bool = False,
    seed: int = 0,
) -> list[int]:
    """Positions of at most ``count`` queries.

    Args:
        pids: ``(Q,) int64``, the queries' identities.
        scores: theirs, of the same features.
        count: how many; None for all.
        persons: only queries of these identities, including those without a right answer.
        worst: least AP first, equal ones in the queries' order; queries without a right answer, which have no AP, are
            left out. Otherwise ``seed`` draws from those that have one, and they come in the queries' order.
    """
    counted = dict(zip(scores.counted.tolist(), scores.ap.tolist(), strict=True))
    wanted = np.isin(pids.numpy(), list(persons)) if persons else np.isin(np.arange(len(pids)), scores.counted)
    eligible = np.flatnonzero(wanted).tolist()
    if worst:
        return sorted((query for query in eligible if query in counted), key=lambda query: counted[query])[:count]
    # Only uniform numbers and a stable sort: the same draw on every platform.
    order = np.argsort(np.random.default_rng(seed).random(len(eligible)), kind="stable")[:count]
    return [eligible[place] for place in np.sort(order)]


def ranked_lists(
    features: RetrievalFeatures, queries: Sequence[int], top: int, scores: QueryScores, metric: str = "cosine"
) -> list[RankedList]:
    """The ``top`` nearest gallery images of each of ``queries``, in the order that the scores are computed from.

    Raises:
        UserError: as ``query_scores``.
    """
    matching = _match(features)
    rows = _rows(_blocks(matching, features, metric), set(queries))
    place = {query: number for number, query in enumerate(scores.counted.tolist())}
    lists = []
    for query in queries:
        _, same, junk = matching.same_identity(query, query + 1)
        row = rows[query].astype(np.float64)  # a copy
        row[same[junk]] = np.inf
        order = np.argsort(row, kind="stable")[: min(top, len(row) - int(junk.sum()))]
        gallery = matching.columns[order]
        near = torch.from_numpy(gallery).to(features.gallery.features.device)
        distances = pairwise_distances(
            features.query.features[query : query + 1], features.gallery.features[near], metric
        )
        counted = place.get(query)
        lists.append(
            RankedList(
                query=query,
                gallery=gallery,
                right=np.isin(order, same[~junk]),
                distances=distances[0].cpu().numpy(),
                passed_over=int(junk.sum()),
                ap=None if counted is None else float(scores.ap[counted]),
                first_rank=None if counted is None else int(scores.first_rank[counted]),
            )
        )
    return lists


def _match(features: RetrievalFeatures) -> Matching:
    query, gallery = features.query, features.gallery
    return match(query.pids, query.camids, gallery.pids, gallery.camids, features.rule, query.ids, gallery.ids)


def _blocks(matching: Matching, features: RetrievalFeatures, metric: str):
    return feature_blocks(matching, features.query.features, features.gallery.features, metric)


def _rows(blocks, queries: Collection[int]) -> dict[int, np.ndarray]:
    """The rows of some queries. They are taken from the blocks that are scored: a matrix product of another shape may
    round differently, which would rank near-ties differently from the scores."""
    rows, start = {}, 0
    for block in blocks:
        rows.update({query: block[query - start] for query in queries if start <= query < start + len(block)})
        start += len(block)
    return rows
