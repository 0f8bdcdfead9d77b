"""Ends a training before its time: goes on from an interrupted run's checkpoint while the rate falls to its end.

A rate that falls makes most of what a training's last epochs bring, wherever it begins to fall (Hägele et al. 2024,
"Scaling laws and compute-optimal training beyond fixed training durations"). So what was interrupted, on a machine that
is there no more say, need not be lost. The run itself is left as it is and can still go on to its own end.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from reid.engine.checkpoint import load_state
from reid.engine.recipe import Recipe
from reid.engine.rollback import ROLLBACKS, STATE
from reid.engine.run_folder import CONFIG, first_difference, read_metrics
from reid.errors import UserError
from reid.files import write_atomic, write_text
from tools.jobs.opening import shown
from tools.jobs.saved_config import read_saved

SAME = ("seed", "dataset", "input_size", "data", "network", "weights")
"""What the two trainings must have in common."""


@dataclass(frozen=True)
class CoolDown:
    """What is ended.

    Attributes:
        run: folder of the interrupted training.
        epochs: over which the rate falls, after those that the run has done.
    """

    run: Path
    epochs: int


@dataclass(frozen=True)
class Begun:
    """An interrupted training: the recipe that ends it, and how far it has come.

    Attributes:
        done, planned: epochs done, and those it was to have.
    """

    recipe: Recipe
    done: int
    planned: int

    @property
    def words(self) -> str:
        """What a reader of a table must know."""
        left = self.recipe.epochs - self.done
        return f"cooled down over {left} epoch{'s' if left > 1 else ''} after {self.done} of {self.planned}"


def begun(what: CoolDown, recipe: Recipe) -> Begun:
    """``recipe``, the one that the run was begun with but for how steps are computed, ended early.

    Raises:
        UserError: the folder holds no interrupted training, or one that has not done an epoch or has done all.
    """
    if not (what.run / CONFIG).exists():
        raise UserError(f"--cool-down {what.run}: no run is there; give the folder of a training")
    if not (what.run / STATE).exists():
        raise UserError(f"--cool-down {what.run}: the run has no {STATE}; it has not done an epoch that was kept")
    done = load_state(what.run / STATE).get("epoch", 0)
    if done >= recipe.epochs:
        raise UserError(
            f"--cool-down {what.run}: it has done {done} epochs, all of this recipe's {recipe.epochs}; give --epochs "
            "as it was begun with"
        )
    schedule = dataclasses.replace(recipe.schedule, planned=recipe.epochs, cool_down=what.epochs)
    return Begun(dataclasses.replace(recipe, epochs=done + what.epochs, schedule=schedule), done, recipe.epochs)


def take_over(what: CoolDown, done: int, config: dict[str, Any], out: Path) -> None:
    """Puts the run's checkpoint and records into ``out``, whose training then goes on from them; once.

    Args:
        config: of the training that begins in ``out``.

    Raises:
        UserError: the run is of other data, another network or seed.
    """
    if (out / STATE).exists():
        return
    saved, wanted = read_saved(what.run / CONFIG), yaml.safe_load(yaml.safe_dump(config))
    difference = first_difference(*({name: each.get(name) for name in SAME} for each in (saved, wanted)))
    if difference:
        raise UserError(f"{shown(what.run)} was begun with another configuration ({difference}); give the same options")
    records = [record for record in read_metrics(what.run) if record.get("epoch", 0) <= done]
    write_text(out / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    if (what.run / ROLLBACKS).exists():
        write_atomic(out / ROLLBACKS, lambda temporary: shutil.copyfile(what.run / ROLLBACKS, temporary))
    # Last: with it the training has begun.
    write_atomic(out / STATE, lambda temporary: shutil.copyfile(what.run / STATE, temporary))
