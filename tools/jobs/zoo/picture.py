"""The zoo's networks beside published ones: accuracy against FLOPs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evaluation.pictures.costs import CostDot, draw_costs
from reid.errors import UserError
from search.flops_words import parse_flops
from supernet.trained.zoo import FOLDER, zoo_entries
from tools.jobs.experiment import CONFIGS
from tools.jobs.paths import check_file
from tools.jobs.results.plan.published import load_published

TRAINED, TESTED = "market1501: 751 identities", "market1501: 3368 queries"
"""Beginnings of ``train_set`` and ``protocol`` for networks that are comparable with the published ones."""

PUBLISHED = CONFIGS / "results" / "published" / "market1501.yaml"

REACH = 1.5
"""Published networks are drawn up to this multiple of the zoo's largest FLOPs; others would crowd the picture."""

KINDS = {"scratch": "published", "ImageNet": "pretrained"}
"""Kinds of published rows in pictures, by their initial weights."""


def check_picture(path: Path) -> None:
    """Raises UserError if ``--picture`` cannot be written as a picture."""
    if path.suffix.lower() != ".png":
        raise UserError(f"--picture {path}: the picture is written as a PNG; name a file that ends in .png")
    check_file(path, "--picture")


def draw_zoo(path: Path, folder: Path = FOLDER) -> Path:
    """Draws mAP against FLOPs as a PNG: the zoo's networks that were trained and tested on all of Market-1501, and
    published ones of comparable FLOPs.

    Raises:
        UserError: the zoo has no such network.
    """
    ours = list(_ours(folder))
    if not ours:
        raise UserError(
            "no network of the zoo was trained and tested on all of Market-1501, so there is nothing to draw"
        )
    most = REACH * max(dot.flops for dot in ours)
    return draw_costs([*ours, *(dot for dot in _published() if dot.flops <= most)], path, comparable=False)


def _ours(folder: Path) -> Iterator[CostDot]:
    for entry in zoo_entries(folder):
        if TRAINED in entry.train_set and entry.protocol.startswith(TESTED):
            name = entry.name.removesuffix("-market1501")
            yield CostDot(name, "zoo", entry.mAP, None, entry.flops, None)


def _published() -> Iterator[CostDot]:
    for row in load_published(PUBLISHED).rows:
        if row.flops:
            yield CostDot(row.name, KINDS[row.weights], row.mAP / 100, None, parse_flops(row.flops), None)
