"""docs/training.md names what there is: every key with its default, every chart, every trouble with its thresholds."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from evaluation.pictures.panels import PANELS
from reid.config import build_config, config_to_dict
from reid.engine.doctor import Trouble
from reid.engine.doctor.rules import data, embedding, optimization, retrieval
from reid.engine.recipe import Recipe
from reid.engine.runs.tags import TAGS, tag_of

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "training.md").read_text(encoding="utf-8")


def rows(columns: int) -> list[list[str]]:
    """The cells of every table row that begins with code."""
    lines = re.findall(r"^\| (`.*) \|$", TEXT, re.M)
    found = [[cell.strip() for cell in re.split(r" \|(?: |$)", line)] for line in lines]
    return [cells for cells in found if len(cells) == columns]


def keys(kind: type, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every key of a configuration with its default, those of mappings that are off by default too."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        default = field.default if field.default is not dataclasses.MISSING else field.default_factory()
        options = [hints[field.name], *typing.get_args(hints[field.name])]
        inner = next((option for option in options if dataclasses.is_dataclass(option)), None)
        if inner is None or default is None:
            yield prefix + field.name, list(default) if isinstance(default, tuple) else default
        if inner is not None:
            yield from keys(inner, f"{prefix}{field.name}.")


KEYS = dict(keys(Recipe))


def test_every_key_of_a_recipe_is_there_with_its_default():
    names = {key.partition(".")[0] for key in KEYS}
    told = {key: default for key, default, _ in rows(3) if key.strip("`").partition(".")[0] in names}
    told = {key.strip("`"): yaml.safe_load(default.strip("`")) for key, default in told.items() if key not in CHARTS}
    assert told == KEYS


CHARTS = {f"`{name}`" for name in (*TAGS, "loss_ce", "holdout_mAP")}


def test_the_keys_are_those_of_a_resolved_configuration():
    """The oracle of ``keys``: what pydantic writes of a recipe with everything turned on."""
    on = {"head": {"erase": {}, "parts": {}, "spectral": {}}, "early_stopping": {}}

    def leaves(value: object, name: str = "") -> Iterator[str]:
        if isinstance(value, dict):
            for key, below in value.items():
                yield from leaves(below, f"{name}.{key}" if name else key)
        else:
            yield name

    switches = {"head.erase", "head.parts", "head.spectral", "early_stopping"}
    assert set(leaves(config_to_dict(build_config(Recipe, on, "test")))) == set(KEYS) - switches


def test_every_chart_is_there():
    told = {name.strip("`"): tag.strip("`") for name, tag, _ in rows(3) if name in CHARTS}
    assert set(told) == {name.strip("`") for name in CHARTS}
    assert all(tag_of(name) == tag for name, tag in told.items())
    drawn = {field for panel in PANELS for field in panel.fields} - {"mAP", "rank1"}
    assert all(f"`{field}`" in TEXT for field in drawn)


@pytest.mark.parametrize(
    "trouble, numbers",
    [
        (Trouble.COLLAPSE, (embedding.COLLAPSED, f"{embedding.COLLAPSED_FOR} epochs", f"{embedding.AT_LEVEL:.0%}")),
        (
            Trouble.STUCK_AT_MARGIN,
            (
                f"{embedding.STUCK_FOR} epochs",
                f"{embedding.AT_LEVEL:.0%}",
                f"{embedding.MOSTLY_ACTIVE:.0%}",
                f"{embedding.PROGRESS:.1%}",
            ),
        ),
        (Trouble.DIVERGENCE, (f"{optimization.RISEN_BY} above", f"{optimization.WORSE_THAN_GUESSING} times")),
        (Trouble.TAKEN_BACK, ("rolled_back",)),
        (
            Trouble.EXPLODING_GRADIENTS,
            (f"{optimization.EXPLODED:g} times", f"at least {optimization.EXPLODED_AFTER}"),
        ),
        (Trouble.VANISHING_GRADIENTS, ("1e-4", f"{optimization.VANISHED_FOR} epochs", optimization.RISEN_BY)),
        (Trouble.NOT_LEARNING, (f"{optimization.STILL_GUESSING:.0%}", f"{optimization.LEARNS_WITHIN:.0%}")),
        (Trouble.UNFINISHED, (f"{optimization.LEARNT:.0%}",)),
        (
            Trouble.RANDOM_LEVEL,
            (
                f"{retrieval.SCORES_WITHIN:.0%}",
                f"{retrieval.ABOVE_RANDOM} times",
                f"{100 * retrieval.ABOVE_RANDOM_BY:g} point",
            ),
        ),
        (
            Trouble.OVERFITTING,
            (
                f"{retrieval.FITTED:.0%}",
                f"{retrieval.FALLEN:.0%}",
                f"{100 * retrieval.FALLEN_BY:g} point",
                f"{retrieval.FALLEN_FOR} looks",
            ),
        ),
        (Trouble.PK_STARVATION, (f"{data.STARVED:.0%}", f"{data.LONELY:.0%}", f"{data.MOST_OF_ALL:.0%}")),
        (Trouble.IDENTITY_OVERLAP, ()),
    ],
)
def test_every_trouble_has_its_thresholds(trouble, numbers):
    signs = {name.strip("`"): sign for name, _, sign, _ in rows(4)}
    assert set(signs) == {str(each) for each in Trouble}
    for number in numbers:
        assert str(number).replace("%", " %") in signs[str(trouble)]
    assert float("1e-4") == optimization.VANISHED and optimization.RISEN == 2


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert len(links) >= 3 and all((DOCS / link).exists() for link in links)
