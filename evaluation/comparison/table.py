"""Results of several runs as one table: its cells, and which of them are the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evaluation.comparison.groups import comparable_groups, group_notes
from evaluation.comparison.row import ResultRow
from evaluation.tables import Table


@dataclass(frozen=True)
class Column:
    """A column of the table: what it shows of a row, and whether more or less of it is better (0: neither)."""

    header: str
    text: Callable[[ResultRow], str]
    value: Callable[[ResultRow], float | None]
    better: int


SPREAD = " ± "
"""Separates a mean from its standard deviation."""


def _percent(value: float, spread: float | None) -> str:
    return f"{100 * value:.1f}" + (f"{SPREAD}{100 * spread:.1f}" if spread is not None else "")


def _nothing(row: ResultRow) -> None:
    """Value for columns in which no value is better than another."""
    return None


COLUMNS = (
    Column("Name", lambda row: row.name, _nothing, 0),
    Column("Recipe", lambda row: row.recipe or "-", _nothing, 0),
    Column("Epochs", lambda row: str(row.epochs or "-"), _nothing, 0),
    Column("Seeds", lambda row: ", ".join(map(str, row.seeds or (row.seed,))), _nothing, 0),
    Column("mAP (step) %", lambda row: _percent(row.mAP, row.mAP_spread), lambda row: row.mAP, 1),
    Column("Rank-1 %", lambda row: _percent(row.rank1, row.rank1_spread), lambda row: row.rank1, 1),
    Column("FLOPs (M)", lambda row: f"{row.flops / 1e6:.1f}", lambda row: row.flops, -1),
    Column("Params (M)", lambda row: f"{row.parameters / 1e6:.2f}", lambda row: row.parameters, -1),
    Column(
        "ms/image",
        lambda row: "-" if row.latency_ms is None else f"{row.latency_ms:.2f}",
        lambda row: row.latency_ms,
        -1,
    ),
)


WORDS = 2
"""Number of columns, from the left, that hold words."""


def compare(rows: Sequence[ResultRow]) -> Table:
    """The table of ``rows`` in the order given.

    The best value of a column is marked, with every value that prints the same. Rows that were trained or tested on
    different data or at different input sizes cannot be compared: the best is then marked within each comparable group,
    and a note lists the groups.
    """
    cells = tuple(tuple(column.text(row) for column in COLUMNS) for row in rows)
    groups = comparable_groups(rows)
    best = set().union(*(_best_cells(rows, cells, members) for members in groups))
    notes = group_notes(rows, groups)
    notes += [f"{row.name}: mean ± standard deviation over {len(row.seeds)} seeds" for row in rows if row.seeds]
    notes += [f"{row.name}: {note}" for row in rows for note in row.notes]
    return Table(tuple(column.header for column in COLUMNS), cells, frozenset(best), tuple(notes), WORDS)


def _best_cells(
    rows: Sequence[ResultRow], cells: Sequence[Sequence[str]], members: Sequence[int]
) -> set[tuple[int, int]]:
    """Cells of the rows ``members`` that no other of them beats; a row by itself has none."""
    best = set()
    for place, column in enumerate(COLUMNS):
        values = {index: value for index in members if (value := column.value(rows[index])) is not None}
        if column.better and values:
            shown = {index: cells[index][place].partition(SPREAD)[0] for index in values}
            winner = max(values, key=lambda index: column.better * values[index])
            winners = {index for index in values if shown[index] == shown[winner]}
            if len(winners) < len(values):  # a mark on every value, or on the only one, would say nothing
                best |= {(index, place) for index in winners}
    return best
