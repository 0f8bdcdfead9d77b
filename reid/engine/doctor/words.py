"""A diagnosis in words: as a line of the log, and as a row of the report."""

from __future__ import annotations

from collections.abc import Sequence

from reid.engine.doctor.diagnosis import Diagnosis

COLUMNS = ("Trouble", "Epochs", "Seen", "What to try")
"""Headings of the columns of ``rows``."""


def line(diagnosis: Diagnosis) -> str:
    """``"doctor: stuck at the margin since epoch 4: triplet loss 0.299 of margin 0.300, gap 0.001; try ..."``; without
    the cure if the trouble has gone."""
    said = f"doctor: {diagnosis.trouble}{_when(diagnosis)}: {diagnosis.evidence}"
    return said if diagnosis.gone else f"{said}; try: {diagnosis.cure}"


def rows(diagnoses: Sequence[Diagnosis]) -> list[tuple[str, str, str, str]]:
    """One row per diagnosis, in the order of ``COLUMNS``; none for a healthy training."""
    return [(str(one.trouble), _epochs(one), one.evidence, one.cure) for one in diagnoses]


def _when(diagnosis: Diagnosis) -> str:
    if diagnosis.gone:
        return f" in {_span(diagnosis)}, gone since"
    return f" since epoch {diagnosis.since}" if diagnosis.since else ""


def _span(diagnosis: Diagnosis) -> str:
    if diagnosis.since == diagnosis.until:
        return f"epoch {diagnosis.since}"
    return f"epochs {diagnosis.since} to {diagnosis.until}"


def _epochs(diagnosis: Diagnosis) -> str:
    if diagnosis.gone:
        return f"{diagnosis.since} to {diagnosis.until}, gone"
    return f"from {diagnosis.since} on" if diagnosis.since else "all"
