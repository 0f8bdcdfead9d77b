"""The doctor's findings as a table of a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from evaluation.report.history import History
from evaluation.report.html import Words
from reid.engine.doctor import COLUMNS, Diagnosis, rows

HEALTHY = "The doctor found nothing."
NOT_ASKED = "No doctor.json: the doctor was not run, or the training has not ended."


def doctor_table(histories: Sequence[History]) -> Words | None:
    """A row for each finding, with its severity; None if there are none. With several trainings, rows name theirs."""
    several = len(histories) > 1
    lines, marks = [], []
    for history in histories:
        found = history.diagnoses or ()
        for diagnosis, row in zip(found, rows(found), strict=True):
            lines.append((history.label, *row) if several else row)
            marks.append(severity(diagnosis))
    if not lines:
        return None
    return Words(("Training", *COLUMNS) if several else COLUMNS, tuple(lines), tuple(marks), int(several))


def doctor_lines(histories: Sequence[History]) -> tuple[str, ...]:
    """Lines about trainings that have no row in the table."""
    if len(histories) == 1:
        return tuple(_line(history) for history in histories if not history.diagnoses)
    lines = []
    for text, labels in (
        (HEALTHY, [history.label for history in histories if history.diagnoses == ()]),
        (NOT_ASKED, [history.label for history in histories if history.diagnoses is None]),
    ):
        if labels:
            lines.append(text if len(labels) == len(histories) else f"{', '.join(labels)}: {text}")
    return tuple(lines)


def doctor_summary(histories: Sequence[History]) -> str:
    """``"nothing found"``, ``"1 critical, 2 warning"`` or ``"not asked"``."""
    if all(history.diagnoses is None for history in histories):
        return "not asked"
    found = Counter(diagnosis.severity for history in histories for diagnosis in history.diagnoses or ())
    return ", ".join(f"{found[each]} {each.name.lower()}" for each in sorted(found, reverse=True)) or "nothing found"


def severity(diagnosis: Diagnosis) -> str:
    """``"note"``, ``"warning"`` or ``"critical"``."""
    return diagnosis.severity.name.lower()


def _line(history: History) -> str:
    return NOT_ASKED if history.diagnoses is None else HEALTHY
