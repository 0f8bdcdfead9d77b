"""The licence of a network's weights: that of everything they have learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evaluation.comparison.row import read_result
from reid.errors import UserError
from tools.jobs.results.written.portable import portable
from tools.jobs.training.retrain_words import TAUGHT, THEN

LICENCES = {
    "market1501": "research only: trained on Market-1501, whose images may be used for academic research",
    "synthetic": "no restriction by its data: trained on images drawn by this project",
}
"""Licences of networks trained only on one of these data sets."""


def licence_of(train_set: str, known: Mapping[str, str]) -> str:
    """The licence of a network described by ``train_set``: its initial weights, its data set and its teachers.

    The result is a licence only if all of these share it. If a teacher is a run folder, that run's own data and
    teachers are checked too; if it cannot be read, no licence is stated.

    Args:
        known: licences by the names of the zoo's networks.
    """
    return _common(train_set, known, ()) or f"not told here: it is that of {portable(train_set)}"


def _common(train_set: str, known: Mapping[str, str], asked: tuple[str, ...]) -> str | None:
    words, _, teachers = train_set.partition(TAUGHT)
    begun, _, data = words.rpartition(THEN)
    own = LICENCES.get(data.partition(":")[0])
    if begun and known.get(begun) != own:
        return None
    taught = (_of_teacher(name, known, asked) for name in teachers.split(" and ") if name)
    return own if all(licence == own for licence in taught) else None


def _of_teacher(name: str, known: Mapping[str, str], asked: tuple[str, ...]) -> str | None:
    if name in known:
        return known[name]
    if name in asked:  # a cycle: one of the folders has been trained again since
        return None
    try:
        row = read_result(Path(name))
    except UserError:
        return None
    return _common(row.train_set, known, (*asked, name))
