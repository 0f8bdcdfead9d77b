"""The doctor's findings that lasted to the end of a training, for one or several compared trainings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evaluation.report.history import read_diagnoses
from reid.engine.doctor import Diagnosis, Severity
from reid.words import counted


def lasting(run: Path) -> list[Diagnosis]:
    """What the doctor found in the training in ``run`` that lasted to its end, but for notes; nothing where it was not
    asked.

    Raises:
        UserError: the run's ``doctor.json`` is damaged.
    """
    found = read_diagnoses(run) or ()
    return [each for each in found if not each.gone and each.severity > Severity.NOTE]


def troubles_of(runs: Mapping[str, Path]) -> dict[str, list[str]]:
    """Which of several trainings, by their labels, ended in each trouble, by its name, the worst troubles first.

    What data and recipe have of themselves, before the first epoch, is left out: it is the same for all of them.

    Raises:
        UserError: a run's ``doctor.json`` is damaged.
    """
    found: dict[str, list[str]] = {}
    worst: dict[str, Severity] = {}
    for label, run in runs.items():
        for each in lasting(run):
            if each.since:
                found.setdefault(str(each.trouble), []).append(label)
                worst[str(each.trouble)] = max(each.severity, worst.get(str(each.trouble), Severity.NOTE))
    return {name: found[name] for name in sorted(found, key=lambda name: -worst[name])}


def trouble_lines(troubles: Mapping[str, list[str]], trainings: int) -> tuple[str, ...]:
    """A line for each of ``troubles_of``'s, of so many trainings: a mean with such a score in it misleads."""
    return tuple(
        f"doctor: {name} in {len(labels)} of {counted(trainings, 'training')}: {', '.join(labels)}; such a score is in "
        "the figures too; the training's page says what to try"
        for name, labels in troubles.items()
    )
