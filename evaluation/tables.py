"""Tables whose best cells are marked, as aligned text for a terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Cells as text, which of them are the best of their column, and lines to print below.

    Attributes:
        words: number of columns, from the left, that hold words, not figures.
    """

    headers: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    best: frozenset[tuple[int, int]] = frozenset()
    notes: tuple[str, ...] = ()
    words: int = 1


def markdown(lines: Sequence[Sequence[str]], words: int = 1) -> str:
    """``lines`` of equally many cells, the first of them the header, as a Markdown table; figures are right-aligned.

    Args:
        words: number of columns, from the left, that hold words; the others hold figures.
    """
    head, *body = lines
    ruler = ["---" if place < words else "---:" for place in range(len(head))]
    # Every unescaped ``|`` ends a cell, even within code or a link.
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in (head, ruler, *body))
    return "\n".join("| " + " | ".join(line) + " |" for line in escaped)


def aligned(lines: Sequence[Sequence[str]], words: int = 1, ruled: bool = False) -> str:
    """``lines`` of equally many cells, the first of them the header, in columns two spaces apart.

    Args:
        words: number of columns, from the left, that hold words and are left-aligned; the others hold figures and are
            right-aligned.
        ruled: whether to put a line of dashes below the header.
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
