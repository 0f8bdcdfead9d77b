"""Accuracy against FLOPs: the compared networks, and beside them the candidates of the search."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from evaluation.comparison.row import ResultRow
from evaluation.pictures.labels import place_labels
from evaluation.pictures.style import (
    ACCENT,
    ERROR_BAR,
    KIND_WORDS,
    KINDS,
    LEGEND,
    MILLION_FLOPS,
    MUTED,
    SERIES,
    new_figure,
    save_figure,
    style_axes,
)
from reid.errors import UserError

LOG_FROM = 6
"""FLOPs are drawn on a logarithmic axis where the largest is this many times the smallest."""

COSTS = {
    "flops": (MILLION_FLOPS, 1e6),
    "latency_ms": ("predicted latency (ms)", 1.0),
    "parameters": ("parameters (millions)", 1e6),
}
"""Axis label of each cost of a candidate, and the unit it is drawn in."""


def draw_front(rows: Sequence[ResultRow], path: Path, candidates: Sequence[Mapping[str, Any]] = ()) -> Path:
    """A PNG of mAP against FLOPs for ``rows``, coloured by kind, with a bar where there is a spread over seeds; with
    ``candidates`` a second panel shows the search.

    Candidates are mappings with ``score`` (a fraction, on the search's own held-out identities, so not comparable
    with the panel of ``rows``) and ``flops``; those without a score are left out.

    Raises:
        UserError: there is no row.
    """
    if not rows:
        raise UserError("there is no result to draw: give at least one run")
    scored = scored_candidates(candidates)
    figure = new_figure(10.5 if scored else 6.5, 4.6)
    panels = figure.subplots(1, 2 if scored else 1, squeeze=False)[0]
    if scored:
        _draw_candidates(panels[1], scored)
    _draw_rows(panels[0], rows)
    return save_figure(figure, path)


def draw_search_front(
    candidates: Sequence[Mapping[str, Any]],
    path: Path,
    costs: Sequence[str] = ("flops",),
    members: Collection[int] = (),
) -> Path:
    """A PNG of every candidate's ``score`` by its cost, and their Pareto front; of several costs each has a panel.

    With several costs, the members of the front over all of them are marked. The line is the front by the panel's own
    cost alone: a member below it is cheaper by another cost.

    Args:
        candidates: as for ``draw_front``, with the costs, and where there are several with their ``trial``.
        costs: the keys of the costs, of ``flops``, ``latency_ms`` and ``parameters``.
        members: trials of the front over several costs; ignored if there is only one cost.

    Raises:
        UserError: no candidate has a score.
    """
    scored = scored_candidates(candidates)
    if not scored:
        raise UserError("no candidate with a score to draw: the search has evaluated none yet")
    figure = new_figure(6.5 if len(costs) == 1 else 4.6 * len(costs), 4.6)
    panels = figure.subplots(1, len(costs), squeeze=False, sharey=True)[0]
    marked = None if len(costs) == 1 else [each for each in scored if each["trial"] in members]
    for axes, cost in zip(panels, costs, strict=True):
        _draw_candidates(axes, scored, cost, marked)
    if len(costs) > 1:
        _share_words(figure, panels)
    return save_figure(figure, path)


def _share_words(figure: Figure, panels: Sequence[Axes]) -> None:
    """Gives panels that stand side by side one title, one label of the scores and one legend."""
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=3, **LEGEND)
    for axes in panels:
        axes.get_legend().remove()
    for axes in panels[1:]:
        axes.set_title("", loc="left")
        axes.set_ylabel("")


def scored_candidates(candidates: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Candidates that have a score: not those that failed."""
    return [candidate for candidate in candidates if candidate.get("score") is not None]


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The ``(cost, score)`` points that no other point beats (cost at most, score at least, one strictly
    better), by cost.
    """
    front: list[tuple[float, float]] = []
    for cost, score in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not front or score > front[-1][1]:
            front.append((cost, score))
    return front


def _draw_rows(axes: Axes, rows: Sequence[ResultRow]) -> None:
    style_axes(axes, "Accuracy against cost", MILLION_FLOPS, "mAP (%)")
    points = [(row.flops / 1e6, 100 * row.mAP) for row in rows]
    scatter_kinds(axes, points, [row.kind for row in rows])
    _draw_spreads(axes, rows)
    scale_cost(axes, [cost for cost, _ in points])
    axes.margins(x=0.16, y=0.16)
    if len({row.kind for row in rows}) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.13), ncols=3, **LEGEND)
    spreads = [None if row.mAP_spread is None else 100 * row.mAP_spread for row in rows]
    place_labels(axes, points, [row.name for row in rows], spreads=spreads)


def scatter_kinds(axes: Axes, points: Sequence[tuple[float, float]], kinds: Sequence[str]) -> None:
    """A dot at each point in its kind's colour, or the next free one, and each kind once in the legend."""
    spare = iter(SERIES * len(points))
    for kind in dict.fromkeys(kinds):
        own = [point for point, its in zip(points, kinds, strict=True) if its == kind]
        look = {"s": 62, "color": KINDS.get(kind) or next(spare), "edgecolor": "white", "linewidth": 1, "zorder": 4}
        axes.scatter(*zip(*own, strict=True), label=KIND_WORDS.get(kind, kind), **look)


def _draw_spreads(axes: Axes, rows: Sequence[ResultRow]) -> None:
    """A bar of one standard deviation up and down where a row is a mean over seeds."""
    for row in rows:
        if row.mAP_spread is not None:
            axes.errorbar(row.flops / 1e6, 100 * row.mAP, yerr=100 * row.mAP_spread, **ERROR_BAR)


def _draw_candidates(
    axes: Axes,
    candidates: Sequence[Mapping[str, Any]],
    cost: str = "flops",
    marked: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Draws candidates and their front. ``marked``: members of a front over several costs; ``None`` for one cost."""
    label, unit = COSTS[cost]
    style_axes(axes, "Candidates of the search", label, "score on held-out identities (%)")
    points = [(candidate[cost] / unit, 100 * candidate["score"]) for candidate in candidates]
    axes.scatter(*zip(*points, strict=True), s=12, color=MUTED, alpha=0.45, linewidth=0, label="candidate")
    front = pareto_front(points)
    alone = f"{'best' if marked else 'Pareto front: best'} at no more of this cost"
    axes.step(*zip(*front, strict=True), where="post", color=ACCENT, linewidth=0.9 if marked else 1.4, label=alone)
    dots = [(each[cost] / unit, 100 * each["score"]) for each in marked] if marked else front
    dot = {"s": 20, "color": ACCENT, "edgecolor": "white", "linewidth": 0.6, "zorder": 4}
    axes.scatter(*zip(*dots, strict=True), label="front over all costs" if marked else None, **dot)
    scale_cost(axes, [cost for cost, _ in points])
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.13), ncols=3, **LEGEND)


def scale_cost(axes: Axes, costs: Sequence[float]) -> None:
    """A logarithmic cost axis with plain numbers where costs are far apart."""
    if min(costs) > 0 and max(costs) / min(costs) >= LOG_FROM:
        axes.set_xscale("log")
        steps = [digit * 10**power for power in range(-3, 7) for digit in (1, 2, 5)]
        axes.set_xticks([step for step in steps if min(costs) / 2 <= step <= max(costs) * 2])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
