"""How tables describe a network's training and its initial weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evaluation.comparison.row import ResultRow
from reid.data.records import ImageSet
from reid.engine.guard.rollback import read_rollbacks
from reid.engine.recipe import Recipe
from reid.words import counted
from supernet.trained.zoo import entry_of
from tools.jobs.data import Source, train_set_words
from tools.jobs.training.inherit import INHERITED, Inheritance

THEN = " weights, then "
"""Follows the initial weights in the description of a network's training data."""

IMAGENET = "ImageNet"
"""Precedes ``THEN`` for published weights, of which each backbone has one file."""

TAUGHT = ", taught by "
"""Precedes the teachers' names in the description of a network's training data."""


def taken_back(run: Path) -> tuple[str, ...]:
    """Notes for the table on a training that was rolled back and so deviates from the recipe's learning rate."""
    return tuple(f"the training blew up and was taken back: {rollback}" for rollback in read_rollbacks(run))


def trained_on_words(
    source: Source, images: ImageSet, weights: str | None, recipe: Recipe, inherited: Inheritance | None
) -> str:
    """A table's description of the training data; rows that differ in it are not compared."""
    words = train_set_words(source, images)
    if inherited:
        words = f"{inherited.words}, then {counted(recipe.epochs, 'epoch')} of {words}"
    elif weights:
        words = f"{IMAGENET if weights == 'imagenet' else weights}{THEN}{words}"
    if recipe.losses.distillation.teacher:
        words += f"{TAUGHT}{' and '.join(recipe.losses.distillation.teachers)}"
    return words


def at_one_place(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """``rows`` of one training with several seeds. Those that differ from the last only in the paths of supernet,
    weights or teacher get its paths: the files may have been moved between trainings."""
    last = rows[-1]
    same = [_without_places(row.train_set) == _without_places(last.train_set) for row in rows]
    return [replace(row, train_set=last.train_set) if one else row for row, one in zip(rows, same, strict=True)]


def _without_places(train_set: str) -> str:
    words, _, _ = train_set.partition(TAUGHT)
    if words.startswith(f"{INHERITED} ("):
        return words.partition("), then ")[2]
    return words.rpartition(THEN)[2] if words.partition(THEN)[0] != IMAGENET else words


def terms_of(start: str | Path | None) -> str | None:
    """The licence of the zoo's network that a training starts from, which also applies to the result; ``None`` for
    other initial weights, whose licence is not known."""
    entry = entry_of(start) if isinstance(start, Path) else None
    return entry and f"of {entry.name}, and of whatever is trained from it: {entry.licence}"
