"""Jaccard distances of sparse encodings by an inverted index (Bai and Bai, TIP 2016)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

BLOCK_ELEMENTS = 1 << 22


def jaccard_blocks(queries: sparse.csr_array, gallery: sparse.csc_array) -> Iterator[np.ndarray]:
    """``(B, G) float64`` blocks of Jaccard distances of ``(Q, N)`` to ``(G, N)`` encodings, B queries at a time.

    The distance is ``1 - m / (2 - m)`` with m the sum of the element-wise minima (equations 9 and 10). B varies, so
    that every block has about the same number of pairs of non-zero elements.
    """
    lists = np.diff(gallery.indptr)[queries.indices]  # length of the inverted list behind each non-zero element
    work = np.concatenate([[0], np.cumsum(lists, dtype=np.int64)])[queries.indptr]
    work += np.arange(queries.shape[0] + 1) * gallery.shape[0]
    start = 0
    while start < queries.shape[0]:
        stop = max(start + 1, int(np.searchsorted(work, work[start] + BLOCK_ELEMENTS, side="right")) - 1)
        minima = _sums_of_minima(queries, gallery, start, stop)
        yield 1 - minima / (2 - minima)
        start = stop


def _sums_of_minima(queries: sparse.csr_array, gallery: sparse.csc_array, start: int, stop: int) -> np.ndarray:
    """``(stop - start, G) float64``: sums over n of ``min(queries[q, n], gallery[g, n])``."""
    elements = slice(queries.indptr[start], queries.indptr[stop])
    columns = queries.indices[elements]
    lengths = np.diff(gallery.indptr)[columns]
    ends = np.cumsum(lengths, dtype=np.int64)
    # Element e of the queries meets the places[ends[e - 1]:ends[e]] of the gallery's elements.
    total = int(ends[-1]) if len(ends) else 0
    places = np.arange(total) + np.repeat(gallery.indptr[columns] - (ends - lengths), lengths)
    values = np.minimum(np.repeat(queries.data[elements], lengths), gallery.data[places])

    count = gallery.shape[0]
    rows = np.repeat(np.arange(stop - start), np.diff(queries.indptr[start : stop + 1]))
    cells = np.repeat(rows * count, lengths) + gallery.indices[places]
    return np.bincount(cells, values, minlength=(stop - start) * count).reshape(stop - start, count)
