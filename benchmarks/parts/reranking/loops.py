"""k-reciprocal re-ranking as plain loops over dense float64 matrices, by the authors' definition and by others'."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.reranking import ReRanking


@dataclass(frozen=True)
class Variant:
    """Differences from the authors' MATLAB code.

    Attributes:
        power: of the squared distances: 0.5 leaves distances plain, 2 squares them twice.
        numpy_half: the half set has ``around(k1 / 2) + 1`` images, which rounds half to even.
        share: of a candidate's set that must be near; 0 is Python 2's ``2 / 3``.
        neighbours: added to k1 for the length of the lists; the authors' 1 makes room for the image itself.
        normalised: distances are divided by the row maximum.
        blended: what the original distances are multiplied by before they are blended.
        dtype: of features, distances and encodings.
        latest: equal distances are ordered the other way round.
        global_maximum: distances are divided by the greatest of all instead of the row's.
    """

    power: float = 1
    numpy_half: bool = False
    share: float = 2 / 3
    neighbours: int = 1
    normalised: bool = True
    blended: float = 1
    dtype: type = np.float64
    latest: bool = False
    global_maximum: bool = False


def plain_reranking(squares: np.ndarray, queries: int, config: ReRanking, variant: Variant | None = None) -> np.ndarray:
    """``(Q, G) float64`` re-ranked distances from ``(N, N)`` squared ones, as the paper's steps one after another."""
    variant = variant or Variant()
    squares = (squares**variant.power).astype(variant.dtype).astype(np.float64)
    greatest = squares.max() if variant.global_maximum else squares.max(axis=1, keepdims=True)
    relative = squares / greatest if variant.normalised else squares
    length = config.k1 + variant.neighbours
    half = round(config.k1 / 2) + 1 if variant.numpy_half else (config.k1 + 2) // 2
    if variant.latest:
        ranks = len(squares) - 1 - np.argsort(squares[:, ::-1], axis=1, kind="stable")
    else:
        ranks = np.argsort(squares, axis=1, kind="stable")
    ranks = ranks[:, : max(length, config.k2)]

    near, small = _reciprocal(ranks[:, :length]), _reciprocal(ranks[:, : min(half, length)])
    vectors = np.zeros(squares.shape)
    for image, members in enumerate(near):
        grown = members.union(*(small[m] for m in members if len(small[m] & members) > variant.share * len(small[m])))
        index = sorted(grown)
        weights = np.exp(-relative[image, index])
        vectors[image, index] = weights / weights.sum()
    vectors = vectors.astype(variant.dtype).astype(np.float64)
    if config.k2 != 1:
        vectors = np.stack([vectors[row[: config.k2]].mean(axis=0) for row in ranks])

    result = np.empty((queries, len(squares) - queries))
    for image in range(queries):
        index = np.flatnonzero(vectors[image])
        shared = np.minimum(vectors[image, index], vectors[queries:, index]).sum(axis=1)
        original = variant.blended * relative[image, queries:]
        result[image] = (1 - config.weight) * (1 - shared / (2 - shared)) + config.weight * original
    return result


def _reciprocal(ranks: np.ndarray) -> list[set[int]]:
    lists = [set(row) for row in ranks.tolist()]
    return [{other for other in lists[image] if image in lists[other]} for image in range(len(lists))]
