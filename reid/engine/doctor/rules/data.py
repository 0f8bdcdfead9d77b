"""Rules on data and batches: troubles that exist before the first step."""

from __future__ import annotations

from collections.abc import Sequence

from reid.engine.doctor.diagnosis import Finding, Severity
from reid.engine.doctor.facts import TrainingFacts
from reid.engine.doctor.rules.history import Record

STARVED = 0.25
"""Largest acceptable share of identities with fewer than K images (Market-1501's training set at K = 4: 1 %)."""

LONELY = 0.1
"""Largest acceptable share of identities with a single image."""

MOST_OF_ALL = 0.5
"""Largest acceptable share of the identities in one batch; above it, hardest negatives are the same few persons."""


def pk_starvation(records: Sequence[Record], facts: TrainingFacts) -> Finding | None:
    """Identities with too few images to fill K places, or too few identities for P to vary."""
    if not facts.instances or not facts.classes:
        return None
    below, single, classes, k = facts.identities_below_k, facts.single_image_identities, facts.classes, facts.instances
    if below > STARVED * classes or single > LONELY * classes:
        evidence = f"{below} of {classes} identities have fewer than K = {k} images, {single} a single one"
        evidence += ": their places are filled with repeats, which are positives at distance zero"
        fewer = f"lower instances (now {k}) and raise identities in turn, or " if k > 2 else ""
        cure = f"{fewer}leave identities with a single image out of the training"
        severity = Severity.CRITICAL if single > MOST_OF_ALL * classes else Severity.WARNING
        return Finding(severity, 0, evidence, cure)
    if facts.identities > MOST_OF_ALL * classes:
        evidence = f"each batch holds P = {facts.identities} of only {classes} identities"
        cure = f"lower identities (now {facts.identities}), or train on more identities"
        return Finding(Severity.NOTE, 0, evidence, cure)
    return None


def shared_data(records: Sequence[Record], facts: TrainingFacts) -> Finding | None:
    """Persons or pictures in both training and test."""
    if not (facts.shared_identities or facts.shared_images):
        return None
    evidence = (
        f"{facts.shared_identities} identities and {facts.shared_images} identical images are both trained on and "
        "tested on"
    )
    cure = "split by identity, and number the persons of merged data sets apart; scores on these data say nothing"
    return Finding(Severity.CRITICAL, 0, evidence, cure)
