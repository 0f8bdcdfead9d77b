"""The page of the matrix of networks by data sets."""

from __future__ import annotations

from pathlib import Path

from evaluation.cross_domain import HEADING, Matrix, matrix_cells, matrix_notes
from evaluation.report.html import Section, write_report
from evaluation.tables import Table
from reid.words import counted


def write_matrix_report(path: Path, matrix: Matrix, made_by: str = "") -> Path:
    """Writes the page of a matrix with at least one score and returns its path; ``made_by`` is command and commit."""
    head, *lines = matrix_cells(matrix)
    table = Table(tuple(head), tuple(map(tuple, lines)), notes=tuple(matrix_notes(matrix)), words=2)
    sections = [Section("Networks against data sets", (f"{HEADING}.",), table=table)]
    if made_by:
        sections.append(Section("Command", code=made_by))
    title = f"{counted(len(matrix.rows), 'network')} on {counted(len(matrix.datasets), 'data set')}"
    return write_report(path, title, _cards(matrix), sections)


def _cards(matrix: Matrix) -> list[tuple[str, str]]:
    """The best mAP on each data set, and how many cells there are."""
    cards = []
    for place, dataset in enumerate(matrix.datasets):
        scored = [row for row in matrix.rows if row.cells[place].score is not None]
        if scored:
            best = max(scored, key=lambda row: row.cells[place].score.mAP)
            cards.append((f"Best mAP on {dataset}", f"{100 * best.cells[place].score.mAP:.1f} %, {best.name}"))
    cells = [cell for row in matrix.rows for cell in row.cells]
    done = sum(cell.score is not None for cell in cells)
    return [*cards, ("Evaluated", f"{done} of {len(cells)}")]
