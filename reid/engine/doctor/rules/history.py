"""Helpers for reading a run's records, in which keys may be missing, and the stretch at their end."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reid.engine.doctor.diagnosis import Finding
from reid.engine.doctor.facts import TrainingFacts

Record = Mapping[str, Any]
"""One line of ``metrics.jsonl``."""

Rule = Callable[[Sequence[Record], TrainingFacts], Finding | None]
"""Returns what the last record shows in the light of earlier ones."""

SCORES = ("holdout_mAP", "largest_mAP")
"""mAP on held-out identities: of a network, and of a supernet's largest arch."""


def number(record: Record, key: str) -> float | None:
    """The finite number under ``key``, or ``None``."""
    value = record.get(key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def score(record: Record) -> float | None:
    """The record's mAP on held-out identities; ``None`` if the epoch was not evaluated."""
    return next((value for key in SCORES if (value := number(record, key)) is not None), None)


def epoch_of(record: Record) -> int:
    return int(record["epoch"])


def stretch(records: Sequence[Record], shows: Callable[[Record], bool]) -> Sequence[Record]:
    """The longest suffix of ``records`` in which ``shows`` is true for every record."""
    start = len(records)
    while start and shows(records[start - 1]):
        start -= 1
    return records[start:]
