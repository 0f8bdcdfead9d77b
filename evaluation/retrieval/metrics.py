"""mAP, CMC and mINP of a retrieval from features, from a distance matrix, or from blocks of its rows.

The rule for junk, distractors and cameras is an argument (``rules.py``); Market-1501's is the default. A query without
a right answer in the gallery is left out of every mean, as in torchreid and fast-reid, and counted in
``skipped_queries``. Ties are broken by the gallery's order, as a stable sort of each row would.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from evaluation.retrieval.distances import METRICS, Features, check_features, ranking_blocks
from evaluation.retrieval.matching import ImageIds, Labels, Matching, match
from evaluation.retrieval.ranks import hit_ranks
from evaluation.retrieval.rules import MARKET1501, MatchRule
from evaluation.retrieval.scores import ReidScore, mean_score, score_queries
from reid.errors import UserError

__all__ = ["METRICS", "ReidScore", "score_blocks", "score_distances", "score_features"]


def score_distances(
    distances: np.ndarray | torch.Tensor,
    query_pids: Labels,
    query_camids: Labels | None,
    gallery_pids: Labels,
    gallery_camids: Labels | None,
    block: int = 256,
    *,
    rule: MatchRule = MARKET1501,
    query_ids: ImageIds | None = None,
    gallery_ids: ImageIds | None = None,
) -> ReidScore:
    """Scores a ``(Q, G)`` matrix of distances (smaller is more alike; any sign) against ``(Q,)`` and ``(G,)``
    labels, which ``evaluation.retrieval.matching.match`` describes.

    Ranks are exact in the matrix's own precision, scores are computed in float64. ``block`` queries are
    looked at at a time; it bounds the memory and does not change the result.

    Raises:
        UserError: shapes or labels do not fit, a distance is NaN, or no query has a right answer in the gallery.
    """
    matching = match(query_pids, query_camids, gallery_pids, gallery_camids, rule, query_ids, gallery_ids)
    if not isinstance(distances, torch.Tensor):
        distances = np.asarray(distances)
    wanted = (matching.queries, matching.gallery)
    if tuple(distances.shape) != wanted:
        raise UserError(
            f"distances have shape {tuple(distances.shape)}, but the labels require {wanted} (queries, gallery)"
        )
    if block < 1:
        raise UserError(f"block must be at least 1 query, got {block}")
    rows = (distances[start : start + block] for start in range(0, len(distances), block))
    return _score(matching, _columns(rows, matching))


def score_blocks(
    blocks: Iterable[np.ndarray | torch.Tensor],
    query_pids: Labels,
    query_camids: Labels | None,
    gallery_pids: Labels,
    gallery_camids: Labels | None,
    *,
    rule: MatchRule = MARKET1501,
    query_ids: ImageIds | None = None,
    gallery_ids: ImageIds | None = None,
) -> ReidScore:
    """``score_distances`` of a matrix that is made as it is read: ``blocks`` are ``(B, G)`` rows of it, of any B, in
    the queries' order.

    Raises:
        UserError: as ``score_distances``.
    """
    matching = match(query_pids, query_camids, gallery_pids, gallery_camids, rule, query_ids, gallery_ids)
    return _score(matching, _columns(blocks, matching))


def score_features(
    query: Features,
    query_pids: Labels,
    query_camids: Labels | None,
    gallery: Features,
    gallery_pids: Labels,
    gallery_camids: Labels | None,
    metric: str = "cosine",
    block: int = 512,
    *,
    rule: MatchRule = MARKET1501,
    query_ids: ImageIds | None = None,
    gallery_ids: ImageIds | None = None,
) -> ReidScore:
    """Scores ``(Q, D)`` query features against ``(G, D)`` gallery features, both on one device.

    Distances (``ranking_blocks``: ``"cosine"`` or ``"euclidean"``) are made for ``block`` queries
    at a time, so that ``block * G`` of them are held at once.

    Raises:
        UserError: shapes or labels do not fit, a feature is NaN or infinite, no query has a right answer in the
            gallery, or both sides are the same images and nothing keeps a query from finding itself.
    """
    matching = match(query_pids, query_camids, gallery_pids, gallery_camids, rule, query_ids, gallery_ids)
    return _score(matching, feature_blocks(matching, query, gallery, metric, block))


def feature_blocks(
    matching: Matching, query: Features, gallery: Features, metric: str = "cosine", block: int = 512
) -> Iterator[np.ndarray]:
    """The numbers that ``score_features`` ranks by: ``(<=block, K)`` for ``matching.columns``, in the queries' order.

    Raises:
        UserError: at the call, as ``score_features``, but for queries without a right answer.
    """
    query, gallery = check_features(query, gallery, metric, block)
    if (len(query), len(gallery)) != (matching.queries, matching.gallery):
        raise UserError(
            f"{len(query)} query and {len(gallery)} gallery features, but labels for "
            f"{matching.queries} and {matching.gallery}"
        )
    if not matching.junk_keys and torch.equal(query, gallery):
        raise UserError("query and gallery are the same images, and each would find itself; give image ids of both")
    if len(matching.columns) < matching.gallery:
        gallery = gallery[torch.from_numpy(matching.columns).to(gallery.device)]
    return (_array(rows) for rows in ranking_blocks(query, gallery, metric, block))


def _score(matching: Matching, blocks: Iterable[np.ndarray]) -> ReidScore:
    hits = hit_ranks(blocks, matching)
    if not len(hits.counted):
        raise matching.nothing_right()
    return mean_score(score_queries(hits), skipped=hits.queries - len(hits.counted))


def _columns(blocks: Iterable[np.ndarray | torch.Tensor], matching: Matching) -> Iterator[np.ndarray]:
    """Blocks as arrays of the ranked columns alone."""
    for rows in blocks:
        block = _array(rows)
        if block.ndim != 2 or block.shape[1] != matching.gallery:
            raise UserError(f"distances of shape {block.shape}, but a row must have {matching.gallery} (the gallery)")
        if len(matching.columns) == matching.gallery:
            yield block
        elif block.size and np.isnan(block.max()):
            raise UserError("distances contain NaN: the network that computed the features diverged; train it again")
        else:
            yield np.take(block, matching.columns, axis=1)


def _array(values: np.ndarray | torch.Tensor) -> np.ndarray:
    """As floating-point numbers that numpy knows."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    values = np.asarray(values)
    return values if np.issubdtype(values.dtype, np.floating) else values.astype(np.float64)
