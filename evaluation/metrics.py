"""mAP, CMC and mINP of a retrieval, by Market-1501's rule for junk and distractors.

The rule (Zheng et al. 2015, and the MATLAB toolbox that came with it):

* gallery images with identity ``-1`` are no part of the gallery;
* gallery images of the query's own identity seen by the query's own camera are passed over for that query;
* gallery images with identity ``0`` are distractors: wrong for every query;
* a query that has no right answer left is not counted.

Ties are broken by the gallery's order, as a stable sort of each row would.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch

from reid.data.records import DISTRACTOR_PID, JUNK_PID
from reid.errors import UserError

METRICS = ("cosine", "euclidean")

Labels = np.ndarray | torch.Tensor


@dataclass(frozen=True)
class ReidScore:
    """Scores as fractions in 0..1, means over the counted queries.

    Attributes:
        mAP: step-wise average precision, the mean of the precision at each hit (torchreid, fast-reid, most
            papers).
        mAP_trapezoid: average precision as the area under the linearly joined precision-recall curve (the
            MATLAB toolbox).
        rank1: share of queries with a right answer in first place; ``rank5``, ``rank10``, ``rank20``
            likewise.
        mINP: right answers divided by the rank of the last of them (Ye et al. 2021, "Deep Learning for Person
            Re-ID").
        queries: queries counted.
        skipped_queries: queries left out because the gallery holds no right answer for them.
    """

    mAP: float
    mAP_trapezoid: float
    rank1: float
    rank5: float
    rank10: float
    rank20: float
    mINP: float
    queries: int
    skipped_queries: int

    def as_dict(self) -> dict[str, float | int]:
        return asdict(self)


def score_distances(
    distances: np.ndarray | torch.Tensor,
    query_pids: Labels,
    query_camids: Labels,
    gallery_pids: Labels,
    gallery_camids: Labels,
    block: int = 256,
) -> ReidScore:
    """Scores a ``(Q, G)`` matrix of distances (smaller is more alike; any sign) against ``(Q,)`` and ``(G,)``
    labels.

    Ranks are exact in the matrix's own precision, scores are computed in float64. ``block`` queries are
    looked at at a time; it bounds the memory and does not change the result.

    Raises:
        UserError: shapes do not fit, a distance is NaN, or no query has a right answer in the gallery.
    """
    matrix = _array(distances)
    if not np.issubdtype(matrix.dtype, np.floating):
        matrix = matrix.astype(np.float64)
    labels = _Labels.of(query_pids, query_camids, gallery_pids, gallery_camids)
    wanted = (len(labels.query_pids), len(labels.gallery_pids))
    if matrix.shape != wanted:
        raise UserError(f"distances have shape {matrix.shape}, the labels ask for {wanted} (queries, gallery)")
    return _score(labels, (matrix[start : start + block] for start in range(0, len(matrix), block)))


def score_features(
    query: torch.Tensor,
    query_pids: Labels,
    query_camids: Labels,
    gallery: torch.Tensor,
    gallery_pids: Labels,
    gallery_camids: Labels,
    metric: str = "cosine",
    block: int = 512,
) -> ReidScore:
    """Scores ``(Q, D)`` query features against ``(G, D)`` gallery features, both on one device.

    Distances are made for ``block`` queries at a time, so that ``block * G`` of them are held at once.
    ``"cosine"`` ranks by the cosine of the angle, ``"euclidean"`` by the squared distance ``|g|^2 - 2 q.g``
    (``|q|^2`` is the same in a row).

    Raises:
        UserError: shapes do not fit, a feature is NaN or infinite, or no query has a right answer in the
            gallery.
    """
    labels = _Labels.of(query_pids, query_camids, gallery_pids, gallery_camids)
    if metric not in METRICS:
        raise UserError(f"metric '{metric}' is unknown; known: {', '.join(METRICS)}")
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise UserError(f"features must be (Q, D) and (G, D), got {tuple(query.shape)} and {tuple(gallery.shape)}")
    if (len(query), len(gallery)) != (len(labels.query_pids), len(labels.gallery_pids)):
        raise UserError(
            f"{len(query)} query and {len(gallery)} gallery features, but labels for "
            f"{len(labels.query_pids)} and {len(labels.gallery_pids)}"
        )
    for name, features in (("query", query), ("gallery", gallery)):
        if not torch.isfinite(features).all():
            raise UserError(f"{name} features hold NaN or infinite values; the network that made them diverged")
    return _score(labels, _distance_blocks(query.detach().float(), gallery.detach().float(), metric, block))


@torch.inference_mode()
def _distance_blocks(query: torch.Tensor, gallery: torch.Tensor, metric: str, block: int) -> Iterator[np.ndarray]:
    if metric == "cosine":
        query, gallery = (torch.nn.functional.normalize(features, dim=1) for features in (query, gallery))
        offset = None
    else:
        offset = gallery.square().sum(dim=1)
    transposed = gallery.T
    for start in range(0, len(query), block):
        rows = query[start : start + block]
        # The cosine's sign is turned instead of taking 1 - cosine: nothing is rounded away.
        distances = -(rows @ transposed) if offset is None else torch.addmm(offset, rows, transposed, alpha=-2)
        yield distances.cpu().numpy()


@dataclass(frozen=True)
class _Labels:
    query_pids: np.ndarray
    query_camids: np.ndarray
    gallery_pids: np.ndarray
    gallery_camids: np.ndarray

    @classmethod
    def of(cls, *labels: Labels) -> _Labels:
        names = ("query pids", "query camids", "gallery pids", "gallery camids")
        arrays = [_array(label) for label in labels]
        for name, array in zip(names, arrays, strict=True):
            if array.ndim != 1:
                raise UserError(f"{name} must be one number per image, got shape {array.shape}")
        for side, pids, camids in (("query", *arrays[:2]), ("gallery", *arrays[2:])):
            if len(pids) != len(camids):
                raise UserError(f"{side} has {len(pids)} pids but {len(camids)} camids")
            if not len(pids):
                raise UserError(f"the {side} is empty: nothing to score")
        return cls(*arrays)


def _array(values: np.ndarray | torch.Tensor) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return np.asarray(values)


def _score(labels: _Labels, blocks: Iterable[np.ndarray]) -> ReidScore:
    """The score from blocks of rows of the distance matrix, in the order of the queries."""
    kept = np.flatnonzero(labels.gallery_pids != JUNK_PID)
    all_kept = len(kept) == len(labels.gallery_pids)
    pids, camids = labels.gallery_pids[kept], labels.gallery_camids[kept]
    by_pid = np.argsort(pids, kind="stable")
    sorted_pids = pids[by_pid]
    first = np.searchsorted(sorted_pids, labels.query_pids, side="left")
    last = np.searchsorted(sorted_pids, labels.query_pids, side="right")

    hits: list[np.ndarray] = []
    index = 0
    for block in blocks:
        # NaN survives max(), which is one fast pass without a temporary array.
        if block.size and np.isnan(block.max()):
            raise UserError("distances hold NaN; the network that made the features diverged")
        for row in block if all_kept else np.take(block, kept, axis=1):
            if labels.query_pids[index] != DISTRACTOR_PID and first[index] < last[index]:
                same = by_pid[first[index] : last[index]]  # ascending: the sort is stable
                junk = camids[same] == labels.query_camids[index]
                if not junk.all():
                    hits.append(_hit_ranks(row, same[~junk], same[junk]))
            index += 1
    if not hits:
        raise UserError("no query has a right answer (same pid, other camera) in the gallery: nothing to score")
    return _score_ranks(hits, skipped=len(labels.query_pids) - len(hits))


def _hit_ranks(row: np.ndarray, right: np.ndarray, junk: np.ndarray) -> np.ndarray:
    """Ranks (from 1, ascending) of the gallery positions ``right`` in ``row``, with the positions ``junk``
    passed over.

    A rank is one more than the number of distances that come before it; counting them is several times faster
    than sorting the row. Of equal distances the one that stands earlier in the gallery comes first.
    """
    values = row[right]
    passed = row[junk][:, None]
    passed = (passed < values) | ((passed == values) & (junk[:, None] < right))

    near = row <= values.max()  # what lies behind the last right answer cannot matter
    if 2 * np.count_nonzero(near) < len(row):
        kept = np.flatnonzero(near)
        row, right = row[kept], np.searchsorted(kept, right)
    before = np.empty(len(row), dtype=bool)
    ranks = np.empty(len(right), dtype=np.int64)
    for number, (place, value) in enumerate(zip(right.tolist(), values, strict=True)):
        np.less_equal(row[:place], value, out=before[:place])
        np.less(row[place:], value, out=before[place:])
        ranks[number] = np.count_nonzero(before) + 1
    return np.sort(ranks - passed.sum(axis=0))


def _score_ranks(hits: list[np.ndarray], skipped: int) -> ReidScore:
    """The score from each counted query's ranks of right answers (ascending, at least one)."""
    counts = np.array([len(ranks) for ranks in hits])
    starts = np.cumsum(counts) - counts
    ranks = np.concatenate(hits)
    number = np.arange(len(ranks)) - np.repeat(starts, counts) + 1  # 1 for a query's first hit, 2 for its second, ...
    precision = number / ranks
    # Precision one place before the hit; the toolbox starts from precision 1 at recall 0.
    earlier = np.where(ranks > 1, (number - 1) / np.maximum(ranks - 1, 1), 1.0)
    best, worst = ranks[starts], ranks[starts + counts - 1]
    return ReidScore(
        mAP=_mean(np.add.reduceat(precision, starts) / counts),
        mAP_trapezoid=_mean(np.add.reduceat((precision + earlier) / 2, starts) / counts),
        rank1=_mean(best <= 1),
        rank5=_mean(best <= 5),
        rank10=_mean(best <= 10),
        rank20=_mean(best <= 20),
        mINP=_mean(counts / worst),
        queries=len(hits),
        skipped_queries=skipped,
    )


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values, dtype=np.float64))
