"""k-reciprocal encodings: each image as a sparse vector of weights on its expanded k-reciprocal neighbours."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from evaluation.reranking.neighbours import Neighbours
from evaluation.reranking.sources import Distances

BLOCK_ROWS = 4096


def encode(distances: Distances, neighbours: Neighbours, k1: int, k2: int) -> sparse.csr_array:
    """``(N, N)``: the encodings ``V`` of the paper (equation 7) after local query expansion (equation 11).

    A row sums to 1, or to less where duplicates push images out of their own neighbour lists.
    """
    ranks = neighbours.ranks
    near = k_reciprocal(ranks, k1 + 1)
    half = k_reciprocal(ranks, half_size(k1))
    blocks = []
    for start in range(0, len(ranks), BLOCK_ROWS):
        members = expanded(near[start : start + BLOCK_ROWS], half).tocoo()
        first, second = members.row.astype(np.int64) + start, members.col.astype(np.int64)
        weights = np.exp(-relative(distances.pairs(first, second), neighbours.farthest[first]))
        weights /= np.bincount(members.row, weights, minlength=members.shape[0])[members.row]
        blocks.append(sparse.csr_array((weights, (members.row, members.col)), shape=members.shape))
    encodings = sparse.vstack(blocks, format="csr")
    if k2 == 1:
        return encodings
    averaged = ranks[:, :k2]
    return _rows_to_matrix(averaged, np.full(averaged.size, 1 / averaged.shape[1])) @ encodings


def half_size(k1: int) -> int:
    """Length of the neighbour list, the image itself included, for a candidate's own k-reciprocal set.

    The authors' ``round((k1 + 1) / 2)`` with MATLAB's rounding, half up.
    """
    return (k1 + 2) // 2


def k_reciprocal(ranks: np.ndarray, size: int) -> sparse.csr_array:
    """``(N, N) int32``, symmetric: 1 where two images are in each other's first ``size`` neighbours (equation 3)."""
    forward = ranks[:, :size]
    adjacency = _rows_to_matrix(forward, np.ones(forward.size, dtype=np.int32))
    return adjacency.multiply(adjacency.T).tocsr()


def expanded(near: sparse.csr_array, half: sparse.csr_array) -> sparse.csr_array:
    """``(B, N)``, non-zero at the expanded k-reciprocal set (equation 5) of each of B images.

    A neighbour j of image i adds its own smaller set where more than two thirds of that are neighbours of i too.

    Args:
        near: ``(B, N)`` rows of the k-reciprocal sets.
        half: ``(N, N)`` the smaller sets.
    """
    sizes = half.sum(axis=1)
    shared = (near @ half).multiply(near).tocsr()  # half is symmetric: at (i, j) the size of the overlap
    shared.data = (3 * shared.data > 2 * sizes[shared.indices]).astype(np.int32)
    shared.eliminate_zeros()
    return (near + shared @ half).tocsr()


def relative(squares: np.ndarray, farthest: np.ndarray) -> np.ndarray:
    """Squared distances as fractions of the greatest; 0 where that is 0."""
    return squares / np.where(farthest > 0, farthest, 1)


def _rows_to_matrix(columns: np.ndarray, values: np.ndarray) -> sparse.csr_array:
    """``(N, N)`` with ``values`` at the ``(N, K)`` columns of each row."""
    count, width = columns.shape
    starts = np.arange(0, count * width + 1, width)
    return sparse.csr_array((values, columns.ravel(), starts), shape=(count, count))
