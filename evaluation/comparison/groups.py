"""Groups of comparable rows: those of one training set, one test set and one input size."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.comparison.row import ResultRow


def comparable_groups(rows: Sequence[ResultRow]) -> list[list[int]]:
    """Indices of ``rows``, grouped by training set, test set and input size."""
    groups: dict[tuple[str, str, tuple[int, int]], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault((row.train_set, row.test_set, row.input_size), []).append(index)
    return list(groups.values())


def comparable(rows: Sequence[ResultRow]) -> bool:
    """Whether all rows were trained and tested on the same data at the same input size."""
    return len(comparable_groups(rows)) < 2


def group_notes(rows: Sequence[ResultRow], groups: Sequence[Sequence[int]]) -> list[str]:
    """Lines that say what may be compared with what; none where all may."""
    if len(groups) < 2:
        return []
    marked = "; the best of each group is marked" if any(len(members) > 1 for members in groups) else ""
    lines = [f"These rows cannot all be compared; compare only within a group{marked}:"]
    for members in groups:
        first = rows[members[0]]
        names = ", ".join(rows[index].name for index in members)
        height, width = first.input_size
        tested = f", tested on {first.test_set}" if first.test_set else ""
        lines.append(f"  {names}: trained on {first.train_set} at {height}x{width}{tested}")
    return lines
