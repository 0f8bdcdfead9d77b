"""The doctor's findings that persisted to the end of a training, for one or several compared trainings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evaluation.report.history import read_diagnoses
from reid.engine.doctor import Diagnosis, Severity
from reid.words import counted


def lasting(run: Path) -> list[Diagnosis]:
    """The doctor's findings, except notes, that persisted to the end of the training in ``run``; empty if the run has
    no ``doctor.json``.

    Raises:
        UserError: the run's ``doctor.json`` is damaged.
    """
    found = read_diagnoses(run) or ()
    return [each for each in found if not each.gone and each.severity > Severity.NOTE]


def troubles_of(runs: Mapping[str, Path]) -> dict[str, list[str]]:
    """For each trouble in which trainings ended, by its name, the labels of these trainings; the worst trouble first.

    Findings from before the first epoch, on data and recipe, are left out: they are the same for all trainings.

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
    """A warning line for each entry of ``troubles_of``: a mean that contains such a score misleads."""
    return tuple(
        f"doctor: {name} in {len(labels)} of {counted(trainings, 'training')}: {', '.join(labels)}; its score is "
        "included in the figures; the training's page says what to try"
        for name, labels in troubles.items()
    )
