"""The table of several runs as text: on a terminal, or in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.comparison.row import ResultRow
from evaluation.comparison.table import compare
from evaluation.tables import aligned, markdown


def comparison_table(rows: Sequence[ResultRow]) -> str:
    """The table for a terminal: aligned columns, ``*`` at the best value of a column, notes below."""
    table = compare(rows)
    lines = [list(table.headers)]
    for index, cells in enumerate(table.cells):
        lines.append([cell + ("*" if (index, place) in table.best else "") for place, cell in enumerate(cells)])
    # Digits stay below each other: a value without a mark has a blank in its place.
    marked = {place for _, place in table.best}
    for line in lines:
        for place in marked:
            if not line[place].endswith("*"):
                line[place] += " "
    return "\n".join([aligned(lines, table.words, ruled=True), *table.notes])


def markdown_table(rows: Sequence[ResultRow]) -> str:
    """The table in Markdown: the best value of a column bold, notes as a list below."""
    table = compare(rows)
    lines = [table.headers]
    for index, cells in enumerate(table.cells):
        lines.append([f"**{cell}**" if (index, place) in table.best else cell for place, cell in enumerate(cells)])
    printed = [markdown(lines, table.words)]
    if table.notes:
        printed += ["", *(f"{'  ' if note.startswith('  ') else ''}- {note.strip()}" for note in table.notes)]
    return "\n".join(printed)
