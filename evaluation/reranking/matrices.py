"""Squared distances from the caller's matrices of distances."""

from __future__ import annotations

import numpy as np
import torch

from reid.errors import UserError


class MatrixDistances:
    """Distances given as ``(Q, Q)``, ``(Q, G)`` and ``(G, G)`` matrices, squared unless they are already.

    Rows are read as they stand: a row of ``query_query`` or ``gallery_gallery`` holds the distances of its image.
    """

    def __init__(
        self, query_query: np.ndarray, query_gallery: np.ndarray, gallery_gallery: np.ndarray, squared: bool
    ) -> None:
        self.queries = len(query_gallery)
        self.images = self.queries + query_gallery.shape[1]
        self._matrices = query_query, query_gallery, gallery_gallery
        self._squared = squared

    def rows(self, start: int, stop: int) -> np.ndarray:
        query_query, query_gallery, gallery_gallery = self._matrices
        split = min(max(start, self.queries), stop)  # queries up to here, gallery images from here
        above, below = slice(start, split), slice(split - self.queries, stop - self.queries)
        of_queries = np.concatenate([query_query[above], query_gallery[above]], axis=1)
        of_gallery = np.concatenate([query_gallery.T[below], gallery_gallery[below]], axis=1)
        return self._square(np.concatenate([of_queries, of_gallery]))

    def slack(self, start: int, stop: int) -> np.ndarray:
        return np.zeros(stop - start)

    def pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        query_query, query_gallery, gallery_gallery = self._matrices
        distances = np.empty(len(first), dtype=query_gallery.dtype)
        first_queries, second_queries = first < self.queries, second < self.queries
        for matrix, rows, columns, chosen in (
            (query_query, first, second, first_queries & second_queries),
            (query_gallery, first, second - self.queries, first_queries & ~second_queries),
            (query_gallery, second, first - self.queries, ~first_queries & second_queries),
            (gallery_gallery, first - self.queries, second - self.queries, ~first_queries & ~second_queries),
        ):
            distances[chosen] = matrix[rows[chosen], columns[chosen]]
        return self._square(distances)

    def _square(self, distances: np.ndarray) -> np.ndarray:
        # float64: squaring in float32 would make new ties. Rounding leaves distances a little below 0.
        distances = np.maximum(distances, 0, dtype=np.float64)
        return distances if self._squared else np.square(distances, out=distances)


def check_matrices(query_query: torch.Tensor, query_gallery: torch.Tensor, gallery_gallery: torch.Tensor) -> None:
    """Raises a ``UserError`` that names the unusable matrix, if there is one."""
    if query_gallery.ndim != 2 or not query_gallery.numel():
        raise UserError(
            "query_gallery must have shape (Q, G), with at least one query and one gallery image, got "
            f"{tuple(query_gallery.shape)}"
        )
    queries, gallery = query_gallery.shape
    named = {
        "query_query": (query_query, (queries, queries)),
        "query_gallery": (query_gallery, (queries, gallery)),
        "gallery_gallery": (gallery_gallery, (gallery, gallery)),
    }
    for name, (matrix, shape) in named.items():
        if tuple(matrix.shape) != shape:
            raise UserError(f"{name} has shape {tuple(matrix.shape)}, but query_gallery requires {shape}")
        if matrix.device != query_gallery.device:
            raise UserError(f"{name} is on {matrix.device}, query_gallery on {query_gallery.device}; use one device")
        low, high = (float(end) for end in torch.aminmax(matrix))
        if not (abs(low) < float("inf") and abs(high) < float("inf")):  # NaN compares false
            raise UserError(
                f"{name} contains NaN or infinite values: the network that computed the features diverged; train it "
                "again"
            )
        if low < -1e-3 * max(high, 1):
            raise UserError(
                f"{name} contains {low:.3g}: re-ranking needs distances of at least 0; of similarities, give 1 - cos"
            )
