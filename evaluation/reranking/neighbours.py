"""The nearest neighbours of every image among all, exact, with ties in a defined order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evaluation.reranking.sources import Distances

BLOCK_ROWS = 256  # fewer rows make matrix products slow
BLOCK_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class Neighbours:
    """Attributes:
    ranks: ``(N, K) int32``, the K nearest images to each, nearest first; an image is among its own, first but for
        duplicates of it with a smaller index.
    farthest: ``(N,) float64``, the greatest squared distance of each image to any.
    """

    ranks: np.ndarray
    farthest: np.ndarray


def nearest_neighbours(distances: Distances, count: int, advance: Callable[[int], None]) -> Neighbours:
    """The ``count`` nearest images (all, where there are fewer) to each image; equal distances go by the image's index.

    Rows of ``distances`` only narrow the choice, ``pairs`` decide: the lists do not depend on the size of blocks, the
    number of threads or the device. ``advance`` is called with the number of images done.
    """
    images = distances.images
    count = min(count, images)
    ranks = np.empty((images, count), dtype=np.int32)
    farthest = np.empty(images)
    block = max(BLOCK_ROWS, BLOCK_ELEMENTS // images)
    for start in range(0, images, block):
        stop = min(start + block, images)
        rows = distances.rows(start, stop)
        farthest[start:stop] = np.maximum(rows.max(axis=1), 0)
        # The count-th smallest true distance is at most limit + slack, so what is above limit + 2 slack is not near.
        limit = _upper_limit(rows, count) + 2 * distances.slack(start, stop)
        near = np.flatnonzero(rows <= limit[:, None])
        first, second = np.divmod(near, images)
        order = np.lexsort((distances.pairs(first + start, second), first))  # stable: ties stay by index
        begin = np.searchsorted(first, np.arange(stop - start))
        ranks[start:stop] = second[order[begin[:, None] + np.arange(count)]]
        advance(stop - start)
    return Neighbours(ranks, farthest)


def _upper_limit(rows: np.ndarray, count: int) -> np.ndarray:
    """``(B,)``: in each row of ``(B, N)`` at least ``count`` values are no greater, and not many more.

    It is the count-th smallest of the minima of groups of columns: several times faster than that of the columns. A
    group takes columns that lie far apart, since images of one identity tend to follow each other.
    """
    size = max(1, rows.shape[1] // (16 * count))
    groups = rows.shape[1] // size
    minima = rows[:, : size * groups].reshape(len(rows), size, groups).min(axis=1) if size > 1 else rows
    return np.partition(minima, count - 1, axis=1)[:, count - 1]
