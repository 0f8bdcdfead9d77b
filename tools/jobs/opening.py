"""What a long job says before it starts, and its estimate after the first steps."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from reid.engine.recipe import Recipe
from reid.losses.config import LossConfig
from tools.jobs.experiment import CPU_CONFIGS
from tools.jobs.recipe_words import OWN, recipe_name

LONG = 2.5 * 3600
"""Seconds from which a job on a CPU is told of the configs meant for CPUs."""


def announce(title: str, lines: list[tuple[str, str | None]]) -> None:
    """Prints a title and aligned ``name  value`` lines; values that are ``None`` are left out."""
    print(title)
    for name, value in lines:
        if value is not None:
            print(f"  {name:<9} {value}")
    sys.stdout.flush()


def recipe_lines(recipe: Recipe) -> list[tuple[str, str | None]]:
    """A recipe in two or three lines: its name and where it is from, how it steps, what it minimises."""
    optimizer, schedule = recipe.optimizer, recipe.schedule
    batch = f"{recipe.identities}x{recipe.instances}"
    steps = (
        f"{recipe.epochs} {'epoch' if recipe.epochs == 1 else 'epochs'}, {recipe.sampler} batches of {batch}, "
        f"{optimizer.name} lr {optimizer.lr:g} wd {optimizer.weight_decay:g}, {schedule.name}, {recipe.precision}"
        + (", compiled" if recipe.compile else "")
    )
    average, name = recipe.averaging.kind, recipe_name(recipe)
    source = recipe.source if name == OWN else f"{name}: {recipe.source}"
    return [
        ("recipe", source or steps),
        ("", steps if recipe.source else None),
        ("losses", loss_line(recipe.losses) + (f"; weights averaged ({average})" if average != "none" else "")),
    ]


def loss_line(losses: LossConfig) -> str:
    """The losses that have a weight, as ``1 classification + 1 triplet (batch_hard, margin 0.3)``."""
    named = {
        "classification": (losses.classification.weight, losses.classification.kind),
        "triplet": (losses.triplet.weight, f"{losses.triplet.selection}, {_margin(losses.triplet.margin)}"),
        "circle": (losses.circle.weight, f"margin {losses.circle.margin:g}"),
        "center": (losses.center.weight, f"rate {losses.center.rate:g}"),
        "centroid triplet": (losses.centroid.weight, f"margin {losses.centroid.margin:g}"),
    }
    words = [f"{weight:g} {name} ({how})" for name, (weight, how) in named.items() if weight]
    if losses.distillation.teacher:
        words.append(f"distillation of {losses.distillation.teacher}")
    return " + ".join(words)


def _margin(margin: float | None) -> str:
    return "soft margin" if margin is None else f"margin {margin:g}"


def tell_estimate(device: torch.device) -> Callable[[float], None]:
    """A callback for the training loop: prints how long it will take, and on a CPU what to do when that is long."""

    def tell(seconds: float) -> None:
        tqdm.write(f"  estimate  about {format_time(seconds)} for the training")
        if device.type == "cpu" and seconds > LONG:
            tqdm.write(f"  note      this is long on a CPU; meant for CPUs: --config {CPU_CONFIGS}")

    return tell


def format_time(seconds: float) -> str:
    """``"45 s"``, ``"12 min"`` or ``"3 h 20 min"``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def shown(path: Path) -> str:
    """A path relative to the working folder where it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
