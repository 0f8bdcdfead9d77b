"""Descriptions in tables of a network's training and of its initial weights."""

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
"""After what a network began with, in what it was trained on."""

IMAGENET = "ImageNet"
"""Before ``THEN`` for published weights, of which a backbone has one file."""

TAUGHT = ", taught by "
"""Before a teacher's name in what a network was trained on."""


def taken_back(run: Path) -> tuple[str, ...]:
    """A note for the table on a training that did not follow the recipe's learning rate to its end."""
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
    """``rows`` of one training, by several seeds, that all say of its supernet, weights and teacher what the last one
    does: the files may have been moved in between."""
    last = rows[-1]
    same = [_without_places(row.train_set) == _without_places(last.train_set) for row in rows]
    return [replace(row, train_set=last.train_set) if one else row for row, one in zip(rows, same, strict=True)]


def _without_places(train_set: str) -> str:
    words, _, _ = train_set.partition(TAUGHT)
    if words.startswith(f"{INHERITED} ("):
        return words.partition("), then ")[2]
    return words.rpartition(THEN)[2] if words.partition(THEN)[0] != IMAGENET else words


def terms_of(start: str | Path | None) -> str | None:
    """The licence of the zoo's network that a training begins with, which goes on to what is trained; None for others,
    of which it is not known."""
    entry = entry_of(start) if isinstance(start, Path) else None
    return entry and f"of {entry.name}, and so of what is trained from it: {entry.licence}"
