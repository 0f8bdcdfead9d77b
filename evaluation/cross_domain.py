"""Cross-domain evaluation as a matrix of networks by data sets: trained on one, evaluated on every other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evaluation.retrieval.scores import ReidScore
from evaluation.tables import aligned, markdown


@dataclass(frozen=True)
class Cell:
    """One network on one data set.

    Attributes:
        score: None if there is none.
        reason: why there is no score.
        reranked: score of the re-ranked retrieval, if that was requested.
    """

    score: ReidScore | None
    reason: str = ""
    reranked: ReidScore | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON, as ``score.json`` has it: the score's fields and ``reranked``; or ``{"skipped": reason}``."""
        if self.score is None:
            return {"skipped": self.reason}
        again = {} if self.reranked is None else {"reranked": self.reranked.as_dict()}
        return {**self.score.as_dict(), **again}


@dataclass(frozen=True)
class Row:
    """One network.

    Attributes:
        name: of the network or its run.
        train_set: what it was trained on, in words.
        cells: one for each data set.
    """

    name: str
    train_set: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Matrix:
    """Attributes:
    datasets: names of the columns.
    rows: one for each network.
    rules: for each column, how its scores were computed, a line each; empty if there is no score.
    """

    datasets: tuple[str, ...]
    rows: tuple[Row, ...]
    rules: tuple[tuple[str, ...], ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = [
            {
                "name": row.name,
                "train_set": row.train_set,
                "scores": {dataset: cell.as_dict() for dataset, cell in zip(self.datasets, row.cells, strict=True)},
            }
            for row in self.rows
        ]
        return {"datasets": list(self.datasets), "rows": rows, "rules": self._rules()}

    def _rules(self) -> dict[str, list[str]]:
        return {dataset: list(own) for dataset, own in zip(self.datasets, self.rules, strict=True)}


HEADING = "mAP (step) / mAP (trapezoid) / Rank-1 in %; rows: trained on, columns: evaluated on"


def matrix_table(matrix: Matrix) -> str:
    """The matrix for a terminal, with notes on what was left out and the rules below it."""
    return "\n".join([HEADING, aligned(matrix_cells(matrix), words=2, ruled=True), *matrix_notes(matrix)])


def matrix_markdown(matrix: Matrix) -> str:
    """The same in Markdown."""
    notes = [f"- {note}" for note in matrix_notes(matrix)]
    return "\n".join([f"{HEADING}:", "", markdown(matrix_cells(matrix), words=2), *([""] if notes else []), *notes])


def matrix_cells(matrix: Matrix) -> list[list[str]]:
    """A header and a line for each network, as text; below each a line of its re-ranked scores, if there are any."""
    lines = [["network", "trained on", *matrix.datasets]]
    for row in matrix.rows:
        lines.append([row.name, row.train_set, *(_percent(cell.score) for cell in row.cells)])
        if any(cell.reranked for cell in row.cells):
            lines.append([f"{row.name}, re-ranked", row.train_set, *(_percent(cell.reranked) for cell in row.cells)])
    return lines


def _percent(score: ReidScore | None) -> str:
    """``"16.3 / 15.2 / 34.8"``: mAP (step), mAP (trapezoid) and Rank-1."""
    if score is None:
        return "-"
    return " / ".join(f"{100 * share:.1f}" for share in (score.mAP, score.mAP_trapezoid, score.rank1))


def matrix_notes(matrix: Matrix) -> list[str]:
    """Notes on what was left out, and the rules. A reason shared by a whole column and a rule shared by several columns
    appear once; a rule of all columns that have scores appears without their names."""
    notes = []
    for place, dataset in enumerate(matrix.datasets):
        reasons = [(row.name, row.cells[place].reason) for row in matrix.rows if row.cells[place].score is None]
        if len(reasons) == len(matrix.rows) and len({reason for _, reason in reasons}) == 1:
            reasons = [("", reasons[0][1])]
        notes += [f"{dataset}{f', {name}' if name else ''}: left out, {reason}" for name, reason in reasons]
    scored = {dataset: own for dataset, own in zip(matrix.datasets, matrix.rules, strict=True) if own}
    for rule in dict.fromkeys(rule for own in scored.values() for rule in own):
        of = [dataset for dataset, own in scored.items() if rule in own]
        notes.append(rule if len(of) == len(scored) else f"{', '.join(of)}: {rule}")
    return notes
