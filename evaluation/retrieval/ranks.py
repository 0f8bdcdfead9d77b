"""Ranks of each query's right answers, the basis of every retrieval score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from evaluation.retrieval.matching import Matching
from reid.errors import UserError

_ROWS = 16
"""Rows of which all pairs of one identity are held at once."""

_SHRINK = 16
"""A row is cut down to the part that still matters if that is less than one part in this many; copying has a cost."""

_SORT = 64
"""A row of fewer distances than this for each right answer is sorted, a longer one is counted through."""


@dataclass(frozen=True, eq=False)
class HitRanks:
    """Ranks of the right answers.

    Attributes:
        queries: number of all queries.
        counted: ``(C,) int64``, the queries with a right answer, ascending.
        counts: ``(C,) int64``, right answers of each, at least one.
        ranks: ``(sum of counts,) int64``, from 1, ascending for each query; what is passed over takes no rank.
    """

    queries: int
    counted: np.ndarray
    counts: np.ndarray
    ranks: np.ndarray


def hit_ranks(blocks: Iterable[np.ndarray], matching: Matching) -> HitRanks:
    """Ranks from blocks of rows of the ``(Q, K)`` matrix of distances to ``matching.columns``, in the queries' order.

    A smaller distance comes first; of equal ones the image that stands earlier in the gallery, as by a stable sort.
    Distances are compared in the blocks' own precision.

    Raises:
        UserError: a block is of the wrong shape or holds NaN, or there are too few or too many rows.
    """
    counts, ranks, start = [], [], 0
    for block in blocks:
        if block.ndim != 2 or block.shape[1] != len(matching.columns):
            raise UserError(
                f"distances of shape {block.shape}, but a row must have {len(matching.columns)} (the ranked gallery)"
            )
        if start + len(block) > matching.queries:
            raise UserError(f"distances of at least {start + len(block)} queries, but labels of {matching.queries}")
        # NaN survives max(), which is one fast pass without a temporary array.
        if block.size and np.isnan(block.max()):
            raise UserError("distances contain NaN: the network that computed the features diverged; train it again")
        for first in range(0, len(block), _ROWS):
            rows = block[first : first + _ROWS]
            found = _rank_rows(rows, *matching.same_identity(start + first, start + first + len(rows)))
            counts.append(found[0])
            ranks.append(found[1])
        start += len(block)
    if start != matching.queries:
        raise UserError(f"distances of {start} queries, but labels of {matching.queries}")
    every = np.concatenate(counts)
    return HitRanks(len(every), np.flatnonzero(every), every[every > 0], np.concatenate(ranks))


def _rank_rows(
    block: np.ndarray, rows: np.ndarray, places: np.ndarray, junk: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Right answers of each row of ``block``, and their ranks, from the pairs of the same identity."""
    values = block[rows, places]
    order = np.lexsort((places, values, rows))
    rows, places, values, junk = rows[order], places[order], values[order], junk[order]
    passed = np.cumsum(junk)
    passed -= np.concatenate([[0], passed])[np.searchsorted(rows, rows)]  # in this row, up to this pair

    right = ~junk
    rows, places, values = rows[right], places[right].tolist(), values[right].tolist()
    counts = np.bincount(rows, minlength=len(block))
    ranks, stop = np.empty(len(rows), dtype=np.int64), 0
    for row, count in zip(block, counts.tolist(), strict=True):
        start, stop = stop, stop + count
        if count:
            _count_ranks(row, places[start:stop], values[start:stop], ranks[start:stop])
    return counts, ranks - passed[right]


def _count_ranks(row: np.ndarray, places: list[int], values: list[float], ranks: np.ndarray) -> None:
    """Writes the ranks in ``row`` of ``values``, which stand at ``places``, in ascending order of rank.

    A rank is one more than the number of distances that come before it; for a dozen right answers, counting them is
    several times faster than sorting the row. From the last right answer down, what comes after it cannot matter.
    """
    before = np.empty(len(row), dtype=bool)
    for number in range(len(places) - 1, -1, -1):
        if len(row) < _SORT * (number + 1):
            every = np.empty(len(row), dtype=np.int64)
            every[np.argsort(row, kind="stable")] = np.arange(1, len(row) + 1)
            ranks[: number + 1] = every[places[: number + 1]]
            return
        place, value = places[number], values[number]
        np.less_equal(row[:place], value, out=before[:place])
        np.less(row[place:], value, out=before[place:])
        count = np.count_nonzero(before)
        ranks[number] = count + 1
        if _SHRINK * count < len(row):
            kept = np.flatnonzero(before)
            row, places = row[kept], np.searchsorted(kept, places[:number]).tolist()
            before = before[:count]
