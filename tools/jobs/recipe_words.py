"""What tables call the recipe that a network was trained by."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from reid.config import build_config, load_config
from reid.engine.recipe import Recipe
from reid.engine.scaling import at_epochs
from reid.errors import UserError
from tools.jobs.experiment import RECIPES

OWN = "own"
"""Of a recipe that follows none of those that come with the checkout."""

CHANGED = ", changed"

NO_MATTER = ("compile", "cuda_graph", "channels_last", "checkpoint_every", "evaluate_every", "keep_best")
"""Keys that say how fast a training goes and what is kept of it; the weights are the same recipe's."""


def recipe_name(recipe: Recipe) -> str:
    """The name of the file under ``configs/recipes`` that ``recipe`` is, at any number of epochs.

    ``source`` tells which file it began with; ``", changed"`` behind the name says that more than the epochs differs.
    """
    for path in sorted(RECIPES.glob("*.yaml")):
        known = load_config(Recipe, path)
        if known.source and known.source == recipe.source:
            same = _what_matters(at_epochs(known, recipe.epochs)) == _what_matters(recipe)
            return path.stem + ("" if same else CHANGED)
    return OWN


def saved_recipe_name(config: Mapping[str, Any] | None) -> str:
    """``recipe_name`` of a run's configuration; empty where it has no recipe, or one of another version of the code."""
    recipe = (config or {}).get("recipe")
    if not isinstance(recipe, Mapping):
        return ""
    try:
        return recipe_name(build_config(Recipe, recipe, "recipe"))
    except UserError:
        return ""


def _what_matters(recipe: Recipe) -> Recipe:
    plain = Recipe()
    return dataclasses.replace(recipe, **{name: getattr(plain, name) for name in NO_MATTER})
