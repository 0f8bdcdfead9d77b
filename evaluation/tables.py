"""Tables: cells with what is best among them, and columns of text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Cells as text, which of them are the best of their column, and lines to print below.

    Attributes:
        words: how many columns, from the left, are words and no figures.
    """

    headers: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    best: frozenset[tuple[int, int]] = frozenset()
    notes: tuple[str, ...] = ()
    words: int = 1


def aligned(lines: Sequence[Sequence[str]], words: int = 1, ruled: bool = False) -> str:
    """``lines`` of as many cells each, the first of them the heading, in columns two spaces apart.

    Args:
        words: how many columns, from the left, are words, and start where their heading does; the others are figures,
            and end where it does.
        ruled: whether a line of dashes stands below the heading.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if ruled:
        lines = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
