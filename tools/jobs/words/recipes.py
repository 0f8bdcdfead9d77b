"""A recipe in words: for a job's announcement, and the name that tables give it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from reid.config import build_config, load_config
from reid.engine.recipe import Recipe
from reid.engine.recipe.optimizers import GROUPS, OptimizerConfig
from reid.engine.recipe.scaling import at_epochs
from reid.errors import UserError
from reid.losses.config import LossConfig
from reid.models.heads import DEFAULT_HEAD, HeadConfig
from reid.words import counted
from supernet.training import SupernetRecipe
from tools.jobs.experiment import RECIPES

OWN = "own"
"""Name of a recipe that is not based on any supplied one."""

CHANGED = ", changed"

_FROM_0 = {
    False: "",
    True: ", residual branches from 0",
    "auto": ", inverted residuals from 0",
    "identity": ", residual branches with an identity shortcut from 0",
}

NO_MATTER = ("compile", "cuda_graph", "channels_last", "checkpoint_every", "evaluate_every", "keep_best")
"""Keys that affect only the speed of a training and what it saves; the recipe counts as the same."""


def recipe_name(recipe: Recipe) -> str:
    """The name of the file under ``configs/recipes`` that ``recipe`` is based on, at any number of epochs, or ``OWN``.

    ``source`` identifies that file; ``", changed"`` after the name says that more than the number of epochs differs.
    """
    for path in sorted(RECIPES.glob("*.yaml")):
        known = load_config(Recipe, path)
        if known.source and known.source == recipe.source:
            same = _what_matters(at_epochs(known, recipe.epochs)) == _what_matters(recipe)
            return path.stem + ("" if same else CHANGED)
    return OWN


def saved_recipe_name(config: Mapping[str, Any] | None) -> str:
    """``recipe_name`` of a run's configuration; empty if it has no recipe or one that this version cannot read."""
    recipe = (config or {}).get("recipe")
    if not isinstance(recipe, Mapping):
        return ""
    try:
        return recipe_name(build_config(Recipe, recipe, "recipe"))
    except UserError:
        return ""


def recipe_lines(recipe: Recipe, fresh: bool = True) -> list[tuple[str, str | None]]:
    """A recipe in two to four lines: its name and source, how it steps, its losses, and its head if that is not the
    default. ``fresh``: the network starts from random weights, so its residual branches are initialised."""
    optimizer, schedule = recipe.optimizer, recipe.schedule
    batch = f"{recipe.identities}x{recipe.instances}"
    steps = (
        f"{counted(recipe.epochs, 'epoch')}, {recipe.sampler} batches of {batch}, "
        f"{optimizer.name} lr {optimizer.lr:g} wd {optimizer.weight_decay:g}, {schedule.name}, {recipe.precision}"
        + _FROM_0[fresh and recipe.zero_init_residual]
        + (", compiled" if recipe.compile else "")
        + "".join(_fixed(optimizer))
    )
    average, name = recipe.averaging.kind, recipe_name(recipe)
    source = recipe.source if name == OWN else f"{name}: {recipe.source}"
    return [
        ("recipe", source or steps),
        ("", steps if recipe.source else None),
        ("losses", loss_line(recipe.losses) + (f"; weights averaged ({average})" if average != "none" else "")),
        *([("head", head_line(recipe.head))] if recipe.head != DEFAULT_HEAD else []),
    ]


def _fixed(optimizer: OptimizerConfig) -> Iterator[str]:
    """``, backbone fixed for 10 epochs`` or ``, backbone fixed`` for each part that is fixed."""
    for part in GROUPS:
        epochs = getattr(optimizer.freeze_epochs, part)
        if getattr(optimizer.rates, part) == 0:
            yield f", {part} fixed"
        elif epochs:
            yield f", {part} fixed for {counted(epochs, 'epoch')}"


def loss_line(losses: LossConfig) -> str:
    """The losses with a non-zero weight, as ``1 classification + 1 triplet (batch_hard, margin 0.3)``."""
    named = {
        "classification": (losses.classification.weight, losses.classification.kind),
        "triplet": (losses.triplet.weight, f"{losses.triplet.selection}, {_margin(losses.triplet.margin)}"),
        "circle": (losses.circle.weight, f"margin {losses.circle.margin:g}"),
        "center": (losses.center.weight, f"rate {losses.center.rate:g}"),
        "centroid triplet": (losses.centroid.weight, f"margin {losses.centroid.margin:g}"),
    }
    words = [f"{weight:g} {name} ({how})" for name, (weight, how) in named.items() if weight]
    if losses.distillation.teacher:
        words.append(f"distillation from {' and '.join(losses.distillation.teachers)}")
    return " + ".join(words)


def head_line(head: HeadConfig) -> str:
    """The parts of a head, as ``gem pooling, embedding 512, neck bnneck, 4 stripes of 128 (update all, retrieve
    global)``."""
    words = [f"{head.pool} pooling", f"embedding {head.embedding}" if head.embedding else "", f"neck {head.neck}"]
    words += [name for name in ("relu", "mask") if getattr(head, name)]
    words += [f"dropout {head.dropout:g}"] if head.dropout else []
    words += ["normalised"] if head.normalize else []
    words += ["feature erasing"] if head.erase else []
    if (parts := head.parts) is not None:
        alone = "" if parts.global_branch else ", no global branch"
        words.append(
            f"{parts.stripes} stripes of {parts.embedding} (update {parts.update}, retrieve {parts.retrieve}{alone})"
        )
    words += [f"spectral transformation (weight {head.spectral.weight:g})"] if head.spectral else []
    return ", ".join(word for word in words if word)


def step_line(config: SupernetRecipe) -> str:
    """The archs that a supernet trains in each step, and what the largest teaches the others."""
    sampling, places = config.sampling, []
    if every := sampling.largest_every:
        places.append("largest arch" if every == 1 else f"largest arch every {every} steps")
    places += ["smallest"] if sampling.smallest else []
    if sampling.archs:
        within = " from {} to {}".format(*sampling.flops) if sampling.flops else ""
        chosen = "" if sampling.attentive == "none" else f", the {sampling.attentive} of {sampling.attentive_of}"
        places.append(f"{sampling.archs} random (spread {sampling.spread}{within}{chosen})")
    words = " + ".join(places)
    if sampling.largest_every:
        kinds = ("label", "logit", "similarity", "embedding")
        weights = {kind: getattr(config, f"{kind}_weight") for kind in kinds}
        words += "; taught by the largest: " + " + ".join(
            f"{weight:g} {kind}" for kind, weight in weights.items() if weight
        )
    alone = sampling.warmup_epochs
    return words + (f"; largest alone for {counted(alone, 'epoch')}" if alone else "")


def _margin(margin: float | None) -> str:
    return "soft margin" if margin is None else f"margin {margin:g}"


def _what_matters(recipe: Recipe) -> Recipe:
    plain = Recipe()
    return dataclasses.replace(recipe, **{name: getattr(plain, name) for name in NO_MATTER})
