"""Tables: cells with what is best among them, as columns of text for a terminal, and in Markdown."""

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


def markdown(lines: Sequence[Sequence[str]], words: int = 1) -> str:
    """``lines`` of as many cells each, the first of them the heading, as a table in Markdown; figures to the right.

    Args:
        words: how many columns, from the left, are words; the others are figures.
    """
    head, *body = lines
    ruler = ["---" if place < words else "---:" for place in range(len(head))]
    # A table ends a cell at every other ``|``, also at one within code or a link.
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in (head, ruler, *body))
    return "\n".join("| " + " | ".join(line) + " |" for line in escaped)


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
