"""Rule on trainings that blew up and were rolled back."""

from __future__ import annotations

from collections.abc import Sequence

from reid.engine.doctor.diagnosis import Finding, Severity
from reid.engine.doctor.facts import TrainingFacts
from reid.engine.doctor.rules.cures import calm
from reid.engine.doctor.rules.history import Record, epoch_of


def taken_back(records: Sequence[Record], facts: TrainingFacts) -> Finding | None:
    """Epochs that begin with a rollback: from then on the rate differs from the recipe's, so the result is not quite
    comparable with networks trained by the recipe."""
    first = next((record for record in records if record.get("rolled_back")), None)
    if first is None:
        return None
    back = [each for record in records for each in record.get("rolled_back", ())]
    times = "once" if len(back) == 1 else f"{len(back)} times"
    rate = back[-1]["rate"]
    evidence = f"taken back {times}, at {rate:g} times the rate since; {back[-1]['seen']} in epoch {back[-1]['epoch']}"
    return Finding(Severity.WARNING, epoch_of(first), evidence, calm(facts))
