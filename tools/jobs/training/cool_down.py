"""Ends a training early: continues from an interrupted run's checkpoint while the learning rate falls to its end.

The falling rate brings most of what a training's last epochs gain, wherever the fall begins (Hägele et al. 2024,
"Scaling laws and compute-optimal training beyond fixed training durations"). So an interrupted training, for example on
a machine that is no longer available, need not be lost. The run itself is not changed and can still be resumed.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from reid.config import config_to_dict
from reid.engine.guard.guard import STATE
from reid.engine.guard.rollback import ROLLBACKS
from reid.engine.recipe import Recipe
from reid.engine.recipe.stopping import Mode
from reid.engine.runs.checkpoint import load_state
from reid.engine.runs.run_folder import CONFIG, METRICS, first_difference, read_metrics
from reid.errors import UserError
from reid.files import expecting, read_mapping, write_atomic, write_text
from reid.numbers import MOST_EPOCHS
from reid.words import counted
from tools.jobs.paths import shown
from tools.jobs.runs.moved import where_they_are
from tools.jobs.runs.ownership import LATER
from tools.jobs.runs.saved_config import CURE, read_saved
from tools.jobs.training.looks import HELD_OUT, best_at
from tools.jobs.words.recipes import NO_MATTER

SAME = ("dataset", "input_size", "data", "recipe", "network", "weights")
"""What the two trainings must have in common. The seed may differ: one training may be ended several times, with other
batches, and the results averaged (``tools/average.py``)."""

HOW = (*NO_MATTER, "precision")
"""Keys of the recipe that may differ: a training may be ended on another machine."""


@dataclass(frozen=True)
class CoolDown:
    """Which training to end, and how.

    Attributes:
        run: folder of the interrupted training.
        epochs: number of epochs over which the rate falls, after those already done.
    """

    run: Path
    epochs: int


@dataclass(frozen=True)
class Begun:
    """An interrupted training: the recipe that ends it, and how far it had come.

    Attributes:
        recipe: the recipe of the training that ends it.
        done, planned: epochs done when it was taken over, and epochs planned.
        seed: seed of the interrupted training.
        noted: what the configuration of the ending training records about it.
        goes_on: whether the ending training was begun before, in which case ``open_run`` compares its configuration.
    """

    recipe: Recipe
    done: int
    planned: int
    seed: int
    noted: dict[str, Any]
    goes_on: bool

    def words(self, seed: int) -> str:
        """A note for readers of a table; ``seed`` is that of the ending training."""
        left = self.recipe.epochs - self.done
        words = f"cooled down over {counted(left, 'epoch')} after {self.done} of {self.planned}"
        return words if seed == self.seed else f"{words} by seed {self.seed}"


def begun(what: CoolDown, recipe: Recipe, out: Path) -> Begun:
    """The ending training: ``recipe``, by which the run was begun (except for how steps are computed), with an early
    end and without early stopping, since the rate must fall to its end.

    If ``out`` already holds the ending training, the run's state at its start counts: the run may have gone on since.

    Raises:
        UserError: the folder holds no interrupted training; the run has done no epoch or all of them; its rate is
            already falling in the recipe's own cool-down; or it went on before its checkpoint was taken over.
    """
    kept = _kept(out)
    noted = _at_hand(what, recipe) if kept is None else kept | {"run": shown(what.run)}
    done = noted["epochs_done"]
    if kept is not None and not (out / STATE).exists() and (now := _epochs_done(what)) != done:
        raise UserError(
            f"--cool-down {what.run}: it has done {counted(now, 'epoch')} by now, and {shown(out)}, which has no "
            f"{STATE}, was started after {done}; give another --out"
        )
    if done + what.epochs > MOST_EPOCHS:
        raise UserError(
            f"--cool-down-epochs {what.epochs}: together with the {done} already done they exceed {MOST_EPOCHS}; give "
            "fewer"
        )
    own = recipe.schedule
    if own.cool_down and done > (begins := max(recipe.epochs - own.cool_down, 0)):
        raise UserError(
            f"--cool-down {what.run}: its rate has already been falling to its end since epoch {begins:g} of "
            f"{recipe.epochs} (schedule.cool_down), and it has done {done}; continue that run with --resume instead"
        )
    schedule = dataclasses.replace(own, planned=own.planned or recipe.epochs, cool_down=what.epochs)
    ended = dataclasses.replace(recipe, epochs=done + what.epochs, schedule=schedule, early_stopping=None)
    seed = noted["seed"] if "seed" in noted else _seed(what)
    return Begun(ended, done, recipe.epochs, seed, noted, kept is not None)


def _kept(out: Path) -> dict[str, Any] | None:
    """What the training in ``out`` records about the run that it ends; ``None`` if there is no such training."""
    file = out / CONFIG
    kept = read_mapping(file, CURE).get("cooled_down") if file.exists() else None
    if kept is None:
        return None
    with expecting(file, CURE):
        seed = {"seed": int(kept["seed"])} if "seed" in kept else {}  # early versions did not record it
        return {"run": str(kept["run"]), "epochs_done": int(kept["epochs_done"]), **seed}


def _at_hand(what: CoolDown, recipe: Recipe) -> dict[str, Any]:
    """The same facts about the run as it is now."""
    done = _epochs_done(what)
    if done >= recipe.epochs:
        raise UserError(
            f"--cool-down {what.run}: it has done {counted(done, 'epoch')}, all of this recipe's {recipe.epochs}; give "
            "the --epochs that it was started with"
        )
    return {"run": shown(what.run), "epochs_done": done, "seed": _seed(what)}


def _epochs_done(what: CoolDown) -> int:
    if not (what.run / CONFIG).exists():
        raise UserError(f"--cool-down {what.run}: there is no run in it; give the folder of a training")
    if not (what.run / STATE).exists():
        raise UserError(
            f"--cool-down {what.run}: the run has no {STATE}, as no epoch of it was saved; train it longer first"
        )
    return load_state(what.run / STATE).get("epoch", 0)


def _seed(what: CoolDown) -> int:
    return read_saved(what.run / CONFIG).get("seed", 0)


def check_same(what: CoolDown, config: dict[str, Any], recipe: Recipe) -> None:
    """Raises UserError if the run has other data, another network or another recipe.

    Args:
        config: of the ending training.
        recipe: the run's recipe, before it was shortened.
    """
    wanted = yaml.safe_load(yaml.safe_dump({**config, "recipe": config_to_dict(recipe)}))
    saved = where_they_are(read_saved(what.run / CONFIG), wanted)
    names = (*SAME, *(name for name in LATER if name in saved))
    difference = first_difference(*(_compared(each, names) for each in (saved, wanted)))
    if difference:
        raise UserError(
            f"--cool-down {what.run}: it was started with another configuration ({difference}); give the same options"
        )


def _compared(config: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    recipe = config.get("recipe") or {}
    kept = {name: config.get(name) for name in names}
    return kept | {"recipe": {name: value for name, value in recipe.items() if name not in HOW}}


def take_over(what: CoolDown, done: int, out: Path, metric: str = HELD_OUT[0], mode: Mode = "max") -> None:
    """Copies the run's checkpoint, records and best weights so far into ``out``, once; the training there continues
    from them. ``metric`` selects the best weights, and ``mode`` says whether more or less of it is better.

    Raises:
        UserError: another process has continued the run, which has done more than ``done`` epochs by now.
    """
    if (out / STATE).exists():
        return
    records = [record for record in read_metrics(what.run) if record["epoch"] <= done]
    write_text(out / METRICS, "".join(json.dumps(record) + "\n" for record in records))
    for kept in (what.run / ROLLBACKS, best_at(what.run, done, metric, mode)):
        if kept is not None and kept.exists():
            write_atomic(out / kept.name, functools.partial(shutil.copyfile, kept))
    # The checkpoint comes last: once it is there, the training has begun.
    write_atomic(out / STATE, lambda temporary: _copy_state(what, done, temporary))


def _copy_state(what: CoolDown, done: int, path: Path) -> None:
    """Copies the run's checkpoint and checks the copy: the original may be replaced at any moment."""
    shutil.copyfile(what.run / STATE, path)
    now = load_state(path).get("epoch", 0)
    if now != done:
        raise UserError(
            f"--cool-down {what.run}: another process is continuing it, and it has done {counted(now, 'epoch')} by now "
            f"instead of {done}; repeat the command with another --out"
        )
