"""The gain of a search: mAP of found, random and baseline networks side by side, each with its seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from evaluation.pictures.scripts import make_legible
from evaluation.pictures.style import (
    ERROR_BAR,
    KIND_WORDS,
    KINDS,
    LEGEND,
    MUTED,
    new_figure,
    save_figure,
    style_axes,
)
from reid.errors import UserError

RANDOM_MEAN = "mean of the random archs"

WIDEST = 10.5
"""Greatest width in inches; a wider picture becomes illegible when a page shrinks it."""

LEGEND_COLUMN = 2.9
"""Inches that the longest word of the legend takes."""


@dataclass(frozen=True)
class GainDot:
    """A network in the picture: its name, its kind (a key of ``KINDS``) and its mAP by seed, as fractions."""

    name: str
    kind: str
    scores: Sequence[float]


@dataclass(frozen=True)
class GainPanel:
    """Networks to be compared, those of a kind side by side, and the title above them."""

    title: str
    dots: Sequence[GainDot]


def draw_gain(panels: Sequence[GainPanel], path: Path) -> Path:
    """A PNG with a dot for each network at its mean mAP, a bar of one standard deviation up and down, and small dots
    for its seeds. A line across each panel marks the mean of the random archs, to compare the others with.
    The legend names the colours of found, random and other networks, and the two kinds of dot.

    Raises:
        UserError: there is no network to draw.
    """
    if not panels or not all(panel.dots for panel in panels):
        raise UserError("there is no trained network to draw: let the trainings finish")
    widths = [max(3, len(panel.dots)) for panel in panels]
    figure = new_figure(min(WIDEST, 1.6 + 0.75 * sum(widths)), 4.6)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True, width_ratios=widths)[0]
    for number, (each, panel) in enumerate(zip(axes, panels, strict=True)):
        style_axes(each, panel.title, "", "" if number else "mAP on the test set (%)")
        each.grid(False, axis="x")
        _draw_panel(each, panel.dots)
    _legend(figure, axes)
    return save_figure(figure, path)


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """One legend for all panels, below them, since dots may be anywhere inside."""
    found = {word: handle for axes in panels for handle, word in zip(*axes.get_legend_handles_labels(), strict=True)}
    columns = min(len(found), max(1, int(figure.get_figwidth() / LEGEND_COLUMN)))
    figure.legend(found.values(), found.keys(), loc="outside lower left", ncols=columns, **LEGEND)


def _draw_panel(axes: Axes, dots: Sequence[GainDot]) -> None:
    kinds = dict.fromkeys(dot.kind for dot in dots)
    places = range(len(dots))
    for kind in kinds:
        colour = KINDS[kind]
        own = [(place, dot) for place, dot in zip(places, dots, strict=True) if dot.kind == kind]
        for place, dot in own:
            axes.scatter(
                [place] * len(dot.scores), [100 * score for score in dot.scores], s=11, color=colour, alpha=0.4
            )
            if len(dot.scores) > 1:
                words = "standard deviation over seeds (small dots)"
                axes.errorbar(place, _mean(dot), yerr=100 * statistics.stdev(dot.scores), label=words, **ERROR_BAR)
        means = [_mean(dot) for _, dot in own]
        look = {"s": 62, "color": colour, "edgecolor": "white", "linewidth": 1, "zorder": 4}
        axes.scatter([place for place, _ in own], means, label=KIND_WORDS.get(kind, kind), **look)
        if kind == "random":
            axes.axhline(
                statistics.fmean(means), color=colour, linewidth=1.2, linestyle="--", zorder=2, label=RANDOM_MEAN
            )
    names = [Text(text=dot.name) for dot in dots]
    make_legible(names)
    words = {"fontsize": 8.5, "color": MUTED, "parse_math": False}
    axes.set_xticks(list(places), [name.get_text() for name in names], rotation=35, ha="right", **words)
    for label, name in zip(axes.get_xticklabels(), names, strict=True):
        label.set_fontfamily(name.get_fontfamily())
    axes.set_xlim(-0.6, max(3, len(dots)) - 0.4)
    axes.margins(y=0.12)


def _mean(dot: GainDot) -> float:
    return 100 * statistics.fmean(dot.scores)
