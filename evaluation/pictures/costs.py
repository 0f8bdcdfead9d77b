"""Accuracy against cost: a panel for FLOPs and, if it was measured, one for latency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.pictures.front import pareto_front, scale_cost, scatter_kinds
from evaluation.pictures.labels import place_labels
from evaluation.pictures.style import ERROR_BAR, LEGEND, MILLION_FLOPS, new_figure, save_figure, style_axes
from reid.errors import UserError

FRONT = "front: none better at no more cost"
"""Name of the line in the legend."""

FAINT = "#aab3bc"
"""Colour of the line behind dots and labels."""


@dataclass(frozen=True)
class CostDot:
    """A network in the picture.

    Attributes:
        name: of the row.
        kind: pictures colour by it; see ``KINDS``.
        mAP: as a fraction, the mean over seeds.
        spread: standard deviation over seeds; ``None`` of one seed.
        flops: of one image.
        latency_ms: of one image; ``None`` where it was not measured.
    """

    name: str
    kind: str
    mAP: float
    spread: float | None
    flops: int
    latency_ms: float | None


def draw_costs(dots: Sequence[CostDot], path: Path, target: str = "latency", comparable: bool = True) -> Path:
    """A PNG with a panel of mAP by FLOPs, and one of mAP by latency where any was measured; in each a line joins the
    networks that no other one beats in both, as the legend explains.

    Args:
        target: what latency was measured on, for the label.
        comparable: whether all networks were trained and tested alike; without it none is said to beat another, and
            there is no line.

    Raises:
        UserError: there is no network to draw.
    """
    if not dots:
        raise UserError("there is no row to draw: let one finish")
    timed = [dot for dot in dots if dot.latency_ms is not None]
    figure = new_figure(13 if timed else 6.8, 5.0)
    panels = figure.subplots(1, 2 if timed else 1, squeeze=False)[0]
    style_axes(panels[0], "Accuracy against FLOPs", MILLION_FLOPS, "mAP (%)")
    _draw(panels[0], dots, lambda dot: dot.flops / 1e6, comparable)
    if timed:
        style_axes(panels[1], "Accuracy against latency", f"ms an image ({target})", "mAP (%)")
        _draw(panels[1], timed, lambda dot: dot.latency_ms, comparable)
    _legend(figure, panels)
    # Labels last: placing them fixes the position of the axes.
    _label(panels[0], dots, lambda dot: dot.flops / 1e6, comparable)
    if timed:
        _label(panels[1], timed, lambda dot: dot.latency_ms, comparable)
    return save_figure(figure, path)


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """One for all panels: kinds, then the line."""
    found = {word: handle for axes in panels for handle, word in zip(*axes.get_legend_handles_labels(), strict=True)}
    words = sorted(found, key=lambda word: word == FRONT)
    figure.legend([found[word] for word in words], words, loc="outside lower left", ncols=3 * len(panels), **LEGEND)


def _draw(axes: Axes, dots: Sequence[CostDot], cost: Callable[[CostDot], float], comparable: bool) -> None:
    points = [(cost(dot), 100 * dot.mAP) for dot in dots]
    front = pareto_front(points)
    if comparable and len(front) > 1:
        axes.step(*zip(*front, strict=True), where="post", color=FAINT, linewidth=1.4, zorder=2, label=FRONT)
    scatter_kinds(axes, points, [dot.kind for dot in dots])
    for point, dot in zip(points, dots, strict=True):
        if dot.spread is not None:
            axes.errorbar(*point, yerr=100 * dot.spread, **ERROR_BAR)
    scale_cost(axes, [place for place, _ in points])
    axes.margins(x=0.16, y=0.16)


def _label(axes: Axes, dots: Sequence[CostDot], cost: Callable[[CostDot], float], comparable: bool) -> None:
    spreads = [None if dot.spread is None else 100 * dot.spread for dot in dots]
    points = [(cost(dot), 100 * dot.mAP) for dot in dots]
    line = along(pareto_front(points)) if comparable else []
    place_labels(axes, points, [dot.name for dot in dots], spreads=spreads, others=line)


def along(front: Sequence[tuple[float, float]], pieces: int = 24) -> list[tuple[float, float]]:
    """Points on the line that joins a front, to the right and then up; labels avoid them."""
    line = []
    for (cost, score), (dearer, better) in pairwise(front):
        for share in (piece / pieces for piece in range(pieces)):
            line.append((cost + share * (dearer - cost), score))
            line.append((dearer, score + share * (better - score)))
    return line
