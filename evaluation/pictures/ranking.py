"""A supernet's ranking of archs against stand-alone training: scores of both, a panel for each ranker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import Normalize

from evaluation.pictures.style import MUTED, SCALE, add_flops_bar, new_figure, save_figure, style_axes
from reid.errors import UserError

BESIDE = 3
"""Panels in a row."""


@dataclass(frozen=True)
class RankingPoint:
    """An arch in the picture.

    Attributes:
        score: the ranker's, a fraction.
        truth: the stand-alone score, a fraction; the mean over seeds.
        low, high: the least and the greatest of the seeds.
        flops: colours the dot.
    """

    score: float
    truth: float
    low: float
    high: float
    flops: float


@dataclass(frozen=True)
class RankingPanel:
    """A ranker's panel: its title, its archs, and what its scores are."""

    title: str
    points: Sequence[RankingPoint]
    scores: str = "supernet's mAP on held-out identities (%)"


def draw_ranking(panels: Sequence[RankingPanel], truth: str, path: Path) -> Path:
    """A PNG of stand-alone score against the ranker's, with a bar over the seeds, coloured by FLOPs.

    Args:
        panels: in rows of up to ``BESIDE``, on one scale of truth and colour.
        truth: what the stand-alone score is, for the axis.

    Raises:
        UserError: there is no arch to draw.
    """
    if not panels or not all(panel.points for panel in panels):
        raise UserError("no ranked arch to draw: no supernet or no finished stand-alone training was given")
    columns = min(len(panels), BESIDE)
    rows = -(-len(panels) // columns)
    figure = new_figure(5.4 * columns + 0.9, 4.4 * rows)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for unused in axes[len(panels) :]:
        unused.set_visible(False)
    flops = [point.flops / 1e6 for panel in panels for point in panel.points]
    colours = Normalize(min(flops), max(flops))
    for number, (each, panel) in enumerate(zip(axes, panels, strict=False)):
        label = "" if number % columns else truth
        style_axes(each, panel.title, panel.scores, label)
        dots = _draw_panel(each, panel.points, colours)
    add_flops_bar(figure, dots, list(axes), rows)
    return save_figure(figure, path)


def _draw_panel(axes: Axes, points: Sequence[RankingPoint], colours: Normalize) -> PathCollection:
    scores, truths = [100 * point.score for point in points], [100 * point.truth for point in points]
    below = [max(0.0, 100 * (point.truth - point.low)) for point in points]
    above = [max(0.0, 100 * (point.high - point.truth)) for point in points]
    bar = {"ecolor": MUTED, "elinewidth": 1.0, "capsize": 2.5, "capthick": 1.0, "zorder": 3}
    axes.errorbar(scores, truths, yerr=[below, above], fmt="none", **bar)
    axes.margins(x=0.06, y=0.08)
    return axes.scatter(
        scores,
        truths,
        c=[point.flops / 1e6 for point in points],
        cmap=SCALE,
        norm=colours,
        s=34,
        edgecolor="white",
        linewidth=0.5,
        zorder=4,
    )
