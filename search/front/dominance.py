"""Sorting points into fronts, and how much room each has in its own (Deb et al. 2002, NSGA-II)."""

from __future__ import annotations

import numpy as np


def domination_ranks(losses: np.ndarray) -> np.ndarray:
    """``(N,)`` ranks of ``(N, K)`` points, of which less is better: 0 for those that nothing dominates, 1 for those
    that only rank 0 dominates, and so on.

    A point dominates another when it is at most as large in every column and smaller in one. Memory is ``N * N * K``:
    meant for a population, not for a history.
    """
    first, second = losses[:, None], losses[None]
    dominates = (first <= second).all(axis=2) & (first < second).any(axis=2)
    ranks = np.zeros(len(losses), dtype=int)
    left = np.ones(len(losses), dtype=bool)
    rank = 0
    while left.any():
        front = left & ~dominates[left].any(axis=0)
        ranks[front] = rank
        left &= ~front
        rank += 1
    return ranks


def crowding_distances(losses: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """``(N,)`` distances between each point's two neighbours in its own front, summed over the columns, each column
    scaled to the front's extent; infinite at the ends."""
    distances = np.zeros(len(losses))
    for rank in np.unique(ranks):
        front = np.flatnonzero(ranks == rank)
        for column in losses[front].T:
            order = front[np.argsort(column, kind="stable")]
            values = np.sort(column)
            distances[order[[0, -1]]] = np.inf
            if values[-1] > values[0]:
                distances[order[1:-1]] += (values[2:] - values[:-2]) / (values[-1] - values[0])
    return distances
