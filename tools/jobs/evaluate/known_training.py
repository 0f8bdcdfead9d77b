"""The known facts about a network's training, for its row in a table."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from evaluation.comparison.row import RESULT, read_result
from reid.engine.runs.run_folder import CONFIG, WEIGHTS
from reid.errors import UserError
from reid.files import read_mapping
from supernet.trained.zoo import entry_of
from tools.jobs.words.recipes import saved_recipe_name


@dataclass(frozen=True)
class KnownTraining:
    """The fields of a ``ResultRow`` about a training; see there.

    Attributes:
        train_set: in words.
        epochs, seed: 0 if unknown.
        recipe: its name; empty if unknown.
        notes: what else readers of the row should know.
    """

    train_set: str
    epochs: int = 0
    seed: int = 0
    recipe: str = ""
    notes: tuple[str, ...] = ()


def train_set_of(weights: Path, otherwise: str = "not told") -> str:
    """A description of a network's training data, from its run or the zoo, or else ``otherwise``."""
    if (weights.parent / RESULT).is_file():
        return read_result(weights.parent).train_set
    entry = entry_of(weights)
    return entry.train_set if entry else otherwise


def training_of(weights: Path, otherwise: str) -> KnownTraining:
    """The facts for a table's row about the training of the network in a file, from its run or the zoo; ``otherwise``
    replaces an unknown description of the training data.

    For weights that are not the run's last, such as the best, the epochs are unknown.
    """
    run, last, entry = weights.parent, weights.name == WEIGHTS, entry_of(weights)
    told = KnownTraining(train_set_of(weights, otherwise))
    if entry:
        return replace(told, epochs=entry.epochs, seed=entry.seed)
    if (run / CONFIG).is_file():
        with contextlib.suppress(UserError, ValueError, TypeError):  # a file of that name may be something else
            config = read_mapping(run / CONFIG)
            told = replace(told, recipe=saved_recipe_name(config), seed=int(config.get("seed", 0)))
    if (run / RESULT).is_file():
        row = read_result(run)
        told = replace(told, recipe=row.recipe or told.recipe, seed=row.seed)
        told = replace(told, epochs=row.epochs, notes=row.notes) if last else told
    return told
