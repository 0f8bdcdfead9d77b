"""``Experiment``: one configuration for all tools, from data to retraining."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic.dataclasses import dataclass

from reid.config import STRICT, build_config, build_overridden, config_to_dict, merge, parse_override, read_merged
from reid.data.datasets.registry import DatasetConfig, dataset_names
from reid.data.synthetic import SyntheticConfig
from reid.engine.recipe import Recipe
from reid.engine.recipe.scaling import at_batch, at_epochs
from reid.errors import UserError, nearest
from reid.numbers import MOST_EPOCHS, Several, Side
from search.config import SearchConfig
from supernet.training import SupernetRecipe

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
IS_CHECKOUT = (ROOT / "pyproject.toml").is_file()
"""Otherwise the tools are installed, and the user's files do not belong beside them."""
WORKPLACE = ROOT if IS_CHECKOUT else Path.cwd()
"""Folder in which ``data`` is looked for and created."""
RECIPES = CONFIGS / "recipes"
DEFAULT_CONFIG = CONFIGS / "market1501.yaml"
CPU_CONFIGS = "configs/market1501-cpu.yaml (Market-1501, about two hours) or configs/demo.yaml (synthetic, minutes)"

OwnName = Literal["auto", "market1501", "synthetic"]
Size = tuple[Side, Side]


@dataclass(frozen=True, config=STRICT)
class DataConfig:
    """The data set, and the use of its identities.

    Training identities are numbered in ascending order: the first ``train_identities`` train the supernet, the next
    ``holdout_identities`` score the search's candidates. Test identities are entirely other persons.

    Attributes:
        name: ``auto`` is Market-1501 if it is found, otherwise the synthetic set.
        dataset: any other data set, by its own configuration; ``name`` is then ignored (docs/data.md).
        also_train: data sets whose training images stand-alone networks are also trained on; tests and searches use
            only the main one.
        synthetic: how the synthetic set is generated.
        train_identities: ``None`` for all except the held-out ones.
        retrain_on_holdout: whether retraining uses the held-out identities too (the search is over by then).
    """

    name: OwnName = "auto"
    dataset: DatasetConfig | None = None
    also_train: tuple[DatasetConfig, ...] = ()
    synthetic: SyntheticConfig = dataclasses.field(default_factory=SyntheticConfig)
    train_identities: Several | None = None
    holdout_identities: Several = 100
    retrain_on_holdout: bool = True


@dataclass(frozen=True, config=STRICT)
class Experiment:
    """Everything that the tools read from a config file.

    Attributes:
        data: images and identities.
        input_size: ``(height, width)`` of the networks' input; ``None`` for the space's or the arch's own.
        space: name of a space in ``configs/spaces``, or path of a space file.
        supernet: how the supernet is trained.
        search: how it is searched.
        retrain: the recipe for found archs and baselines alike.
        last_stride: of backbones that are not archs and have no fixed one.
    """

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    input_size: Size | None = None
    space: str = "mlr-210m"
    supernet: SupernetRecipe = dataclasses.field(default_factory=SupernetRecipe)
    search: SearchConfig = dataclasses.field(default_factory=SearchConfig)
    retrain: Recipe = dataclasses.field(default_factory=Recipe)
    last_stride: Literal[1, 2] = 2


def find_config(path: Path) -> Path:
    """``path``; if it does not exist and begins with ``configs``, the supplied file of that name if there is one. So an
    installed tool finds ``configs/demo.yaml`` from any folder."""
    return ROOT / path if path.parts[:1] == ("configs",) and not path.exists() and (ROOT / path).is_file() else path


def load_experiment(
    path: str | Path,
    overrides: Sequence[str] = (),
    recipe: str | None = None,
    epochs: int | None = None,
    batch: str | None = None,
    supernet_epochs: int | None = None,
) -> Experiment:
    """The experiment in a config file.

    Args:
        path: the file.
        overrides: ``"a.b=value"`` each; they take precedence over everything else.
        recipe: replaces the file's ``retrain``: a name in ``configs/recipes``, or a path.
        epochs: of retraining, with the schedule scaled to them.
        batch: of retraining, as ``parse_batch`` reads it, with the rates scaled to it.
        supernet_epochs: of the supernet, with the schedule and the first epochs of the largest arch alone scaled.

    Raises:
        UserError: a file is missing, has an unknown key or an invalid value, the recipe does not exist, or an override
            contradicts ``batch``.
    """
    data = read_merged(find_config(Path(path)))
    if recipe is not None:
        file = find_recipe(recipe)
        data["retrain"] = read_merged(file)
        build_config(Recipe, data["retrain"], str(file))  # so that errors in it name this file
    for given in (epochs, supernet_epochs):
        if given is not None and not 1 <= given <= MOST_EPOCHS:
            raise UserError(f"--epochs {given}: must be from 1 to {MOST_EPOCHS}")
    if supernet_epochs is not None:
        supernet = build_config(SupernetRecipe, data.get("supernet", {}), str(path))
        data["supernet"] = config_to_dict(supernet.at_epochs(supernet_epochs))
    if epochs is not None:
        whole = build_config(Recipe, data.get("retrain", {}), str(path))
        data["retrain"] = config_to_dict(at_epochs(whole, epochs))
    if batch is not None:
        identities, instances = parse_batch(batch)
        whole = build_config(Recipe, data.get("retrain", {}), str(path))
        data["retrain"] = config_to_dict(at_batch(whole, identities, instances))
        _check_batch(batch, {"identities": identities, "instances": instances}, overrides)
    whole = functools.reduce(merge, map(parse_override, overrides), data)
    _check_recipes(whole)
    name = whole["data"].get("name") if isinstance(whole.get("data"), Mapping) else None
    if name in dataset_names() and name not in get_args(OwnName):
        raise UserError(
            f"data.name: {name} must be set as data.dataset; give data.dataset={{name: {name}}} (docs/data.md)"
        )
    return build_overridden(Experiment, data, overrides, str(path))


def _check_recipes(whole: Mapping[str, Any]) -> None:
    """Raises UserError if a recipe's name is given in place of its keys, with the right way to refer to a recipe."""
    supernet = whole.get("supernet")
    of_supernet = supernet.get("recipe") if isinstance(supernet, Mapping) else None
    for key, given in (("retrain", whole.get("retrain")), ("supernet.recipe", of_supernet)):
        if not isinstance(given, str):
            continue
        file = find_recipe(given).resolve()
        where = f"recipes/{file.name}" if file.parent == RECIPES else str(file)
        option = f", or --recipe {given} of tools/retrain.py" if key == "retrain" else ""
        raise UserError(
            f"{key}: must contain a recipe's keys, not its name (given: {given!r}); read them from its file with "
            f"{{base: {where}}} in a config{option}"
        )


def _check_batch(batch: str, sizes: Mapping[str, int], overrides: Sequence[str]) -> None:
    """Raises UserError if an override sets another batch than ``batch``: the rates, scaled to ``batch``, would not fit
    it. ``sizes`` are the keys and values of ``batch``."""
    for text in overrides:
        changed = parse_override(text).get("retrain")
        if isinstance(changed, Mapping) and any(changed.get(key, size) != size for key, size in sizes.items()):
            raise UserError(f"--batch {batch} and --set {text} contradict each other; give one of the two")


def parse_batch(text: str) -> tuple[int, int]:
    """P and K in ``"32x4"``: identities, and images of each.

    Raises:
        UserError: the form is wrong, or one of the two is below 2 or has more than four digits.
    """
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text.lower())
    if match is None or min(int(match[1]), int(match[2])) < 2:
        raise UserError(
            f"--batch {text}: give the number of identities and of images of each, both at least 2, for example 32x4"
        )
    return int(match[1]), int(match[2])


def find_recipe(name: str) -> Path:
    """The file of the recipe ``name``, which may also be a path; raises UserError if there is none."""
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise UserError(f"--recipe {name}: there is no such file; name another, or a recipe of configs/recipes")
        return Path(name)
    known = {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}
    if name not in known:
        raise UserError(f"no recipe is called '{name}'{nearest(name, known) or '; known: ' + ', '.join(known)}")
    return known[name]
