"""Whether the archs of several rankings were trained alike, so that their scores can be learnt from together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from reid.config import build_config, config_to_dict
from reid.engine.recipe import Recipe
from reid.engine.runs.run_folder import first_difference
from reid.errors import UserError
from reid.files import expecting, read_mapping
from tools.jobs.experiment import DataConfig
from tools.jobs.paths import shown
from tools.jobs.runs.data import with_effect
from tools.jobs.runs.moved import TEACHER_SHA256
from tools.jobs.words.recipes import NO_MATTER

ANEW = "write it again with the same rank command and --resume"
"""The cure for a ranking with missing records: its trainings are kept, not repeated."""

TEACHER_PATH = "retrain.losses.distillation.teacher"
"""Key for the teacher's path among the settings by which trainings are compared."""


def check_trained_alike(files: Sequence[Path], where: str, one_size: bool) -> None:
    """Raises UserError if two rankings differ in the recipe, teacher or data split of their trainings or, with
    ``one_size``, in the input size. Teachers are compared by their weights if both rankings record these, otherwise by
    path.

    Older rankings that do not record their settings are skipped; all rankings record input sizes.

    Args:
        where: beginning of error messages.
        one_size: whether the space has only one input size.
    """
    told = [(file, settings) for file in files if (settings := _trained_by(file)) is not None]
    _check_alike(told, where)
    if one_size:
        _check_alike([(file, {"input_size": _sizes(file)}) for file in files], where)


def check_same_persons(files: Sequence[Path], data: DataConfig, where: str) -> None:
    """Raises UserError if a ranking's synthetic set was generated with other settings than that of ``data``, and so has
    other persons under the same name. Rankings that do not record this are skipped.

    Args:
        where: beginning of error messages.
    """
    here = config_to_dict(data)["synthetic"]
    for file in files:
        there = (_trained_by(file) or {}).get("data.synthetic", here)
        difference = first_difference({"data": {"synthetic": there}}, {"data": {"synthetic": here}})
        if difference:
            told = difference.replace(" then,", " there,").replace(" now", " here")
            raise UserError(f"{where} {shown(file)}: is of another synthetic set ({told}); name one of this set")


def _check_alike(told: Sequence[tuple[Path, Mapping[str, Any]]], where: str) -> None:
    for (first, others), (file, settings) in combinations(told, 2):
        others, settings = _with_known_teachers(others, settings)
        wrong = next((key for key in others if others[key] != settings.get(key)), None)
        if wrong is not None:
            raise UserError(
                f"{where} {shown(file)}: its archs were trained with other settings than those of {shown(first)}: "
                f"{wrong} differs; name one of the two, or rank the archs of one again by the other's settings"
            )


def _with_known_teachers(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both without the teachers' digests if one lacks them, otherwise without the teachers' paths."""
    idle = TEACHER_PATH if one.get(TEACHER_SHA256) and other.get(TEACHER_SHA256) else TEACHER_SHA256
    return tuple({key: value for key, value in each.items() if key != idle} for each in (one, other))


def _sizes(file: Path) -> set[tuple[int, ...]]:
    """The input sizes at which a ranking's archs were trained."""
    with expecting(file, ANEW):
        return {tuple(row["arch"]["input_size"]) for row in read_mapping(file, ANEW)["archs"]}


def _trained_by(file: Path) -> dict[str, Any] | None:
    """The settings that determine a training's score, by the names that users know; settings added later have their
    defaults. ``None`` if the ranking does not record them."""
    ranking = read_mapping(file, ANEW)
    if "config" not in ranking:
        return None
    with expecting(file, ANEW):
        config, dataset = ranking["config"], ranking["dataset"]
        data, recipe = (
            config_to_dict(build_config(kind, config[part], f"{file}: config.{part}"))
            for kind, part in ((DataConfig, "data"), (Recipe, "retrain"))
        )
    data = with_effect({"dataset": dataset, "data": data})["data"]
    recipe = {key: value for key, value in recipe.items() if key not in (*NO_MATTER, "source")}
    teacher = {TEACHER_PATH: recipe["losses"]["distillation"].pop("teacher")}
    parts = (("data", data), ("retrain", recipe))
    named = {f"{part}.{key}": value for part, own in parts for key, value in own.items()}
    return named | teacher | {TEACHER_SHA256: ranking.get(TEACHER_SHA256)}
