"""Whether the archs of several rankings were trained alike, so that their scores can be learnt from together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reid.config import build_config, config_to_dict
from reid.engine.recipe import Recipe
from reid.errors import UserError
from reid.files import expecting, read_mapping
from tools.jobs.experiment import DataConfig
from tools.jobs.paths import shown
from tools.jobs.recipe_words import NO_MATTER
from tools.jobs.run_data import with_effect

ANEW = "write it anew by the same rank command with --resume"
"""The cure of a ranking that does not say all: its trainings are kept, and are not made again."""


def check_trained_alike(files: Sequence[Path], where: str, one_size: bool) -> None:
    """Raises UserError where two rankings are of trainings by other recipes, on another split of the data, or, with
    ``one_size``, at another input size.

    Those that do not say, as at first, are passed over; what input size archs have is said by every one.

    Args:
        where: what refusals begin with.
        one_size: whether sizes are no choice of the space.
    """
    told = [(file, settings) for file in files if (settings := _trained_by(file)) is not None]
    _check_alike(told, where)
    if one_size:
        _check_alike([(file, {"input_size": _sizes(file)}) for file in files], where)


def _check_alike(told: Sequence[tuple[Path, Mapping[str, Any]]], where: str) -> None:
    for file, settings in told[1:]:
        first, others = told[0]
        wrong = next((key for key in others if others[key] != settings.get(key)), None)
        if wrong is not None:
            raise UserError(
                f"{where} {shown(file)}: its archs were trained otherwise than those of {shown(first)}: {wrong} "
                "differs; name one of the two, or rank the archs of one again by the other's settings"
            )


def _sizes(file: Path) -> set[tuple[int, ...]]:
    """The input sizes that a ranking's archs were trained at."""
    with expecting(file, ANEW):
        return {tuple(row["arch"]["input_size"]) for row in read_mapping(file, ANEW)["archs"]}


def _trained_by(file: Path) -> dict[str, Any] | None:
    """The settings that decide what a training's score is, by the names that a user knows; a setting that came up later
    has its default."""
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
    return {f"{part}.{key}": value for part, own in (("data", data), ("retrain", recipe)) for key, value in own.items()}
