"""Accuracy against FLOPs: the compared networks, and beside them what the search saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from evaluation.pictures.labels import place_labels
from evaluation.pictures.style import ACCENT, INK, KINDS, MUTED, SERIES, new_figure, save_figure, style_axes
from evaluation.result_row import ResultRow
from reid.errors import UserError

LOG_FROM = 6
"""FLOPs are drawn on a logarithmic axis where the largest is this many times the smallest."""


def draw_front(rows: Sequence[ResultRow], path: Path, candidates: Sequence[Mapping[str, Any]] = ()) -> Path:
    """A PNG of mAP against FLOPs for ``rows``, coloured by kind, with a bar where there is a spread over seeds; with
    ``candidates`` a second panel shows the search.

    Candidates are mappings with ``score`` (a fraction, on the search's own held-out identities: not the panel
    of ``rows``' scale) and ``flops``; those without a score are left out.

    Raises:
        UserError: there is no row.
    """
    if not rows:
        raise UserError("no result to draw: give at least one run")
    scored = scored_candidates(candidates)
    figure = new_figure(10.5 if scored else 6.5, 4.6)
    panels = figure.subplots(1, 2 if scored else 1, squeeze=False)[0]
    if scored:
        _draw_candidates(panels[1], scored)
    _draw_rows(panels[0], rows)
    return save_figure(figure, path)


def draw_search_front(candidates: Sequence[Mapping[str, Any]], path: Path, cost: str = "flops") -> Path:
    """A PNG of every candidate's ``score`` by its cost, and their Pareto front.

    Args:
        candidates: as for ``draw_front``.
        cost: the key of the cost: ``flops`` or ``latency_ms``.

    Raises:
        UserError: no candidate has a score.
    """
    scored = scored_candidates(candidates)
    if not scored:
        raise UserError("no candidate with a score to draw: the search has evaluated none yet")
    figure = new_figure(6.5, 4.6)
    _draw_candidates(figure.subplots(), scored, cost)
    return save_figure(figure, path)


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
    style_axes(axes, "Accuracy against cost", "FLOPs (millions)", "mAP (%)")
    points = [(row.flops / 1e6, 100 * row.mAP) for row in rows]
    spare = iter(SERIES * len(rows))
    for kind in dict.fromkeys(row.kind for row in rows):
        own = [point for point, row in zip(points, rows, strict=True) if row.kind == kind]
        colour = KINDS.get(kind) or next(spare)
        axes.scatter(*zip(*own, strict=True), s=62, color=colour, edgecolor="white", linewidth=1, label=kind, zorder=4)
    _draw_spreads(axes, rows)
    scale_cost(axes, [cost for cost, _ in points])
    axes.margins(x=0.16, y=0.16)
    if len({row.kind for row in rows}) > 1:
        axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="upper left", bbox_to_anchor=(0, -0.13), ncols=4)
    spreads = [None if row.mAP_spread is None else 100 * row.mAP_spread for row in rows]
    place_labels(axes, points, [row.name for row in rows], spreads=spreads)


def _draw_spreads(axes: Axes, rows: Sequence[ResultRow]) -> None:
    """A bar of one standard deviation up and down where a row is a mean over seeds, over its dot: most are shorter."""
    for row in rows:
        if row.mAP_spread is not None:
            bar = {"color": INK, "elinewidth": 1.1, "capsize": 3.5, "capthick": 1.1, "zorder": 5}
            axes.errorbar(row.flops / 1e6, 100 * row.mAP, yerr=100 * row.mAP_spread, **bar)


def _draw_candidates(axes: Axes, candidates: Sequence[Mapping[str, Any]], cost: str = "flops") -> None:
    label, unit = {"flops": ("FLOPs (millions)", 1e6), "latency_ms": ("predicted latency (ms)", 1.0)}[cost]
    style_axes(axes, "Candidates of the search", label, "score on held-out identities (%)")
    points = [(candidate[cost] / unit, 100 * candidate["score"]) for candidate in candidates]
    axes.scatter(*zip(*points, strict=True), s=12, color=MUTED, alpha=0.45, linewidth=0, label="candidate")
    front = pareto_front(points)
    costs, scores = zip(*front, strict=True)
    axes.step(costs, scores, where="post", color=ACCENT, linewidth=1.4)
    axes.scatter(costs, scores, s=20, color=ACCENT, edgecolor="white", linewidth=0.6, label="Pareto front", zorder=4)
    scale_cost(axes, [cost for cost, _ in points])
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="upper left", bbox_to_anchor=(0, -0.13), ncols=2)


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
