"""Predicted against measured latency, which shows how far a latency table can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from evaluation.pictures.style import GRID, MUTED, SCALE, add_flops_bar, new_figure, save_figure, style_axes
from reid.errors import UserError


def draw_latency_error(
    predicted: Sequence[float], measured: Sequence[float], flops: Sequence[float], path: Path, title: str = ""
) -> Path:
    """A PNG of measured against predicted ms, a dot for each network, coloured by its FLOPs.

    The line is where both are equal, the band within 5 % of it.

    Raises:
        UserError: there is no network.
    """
    if not predicted:
        raise UserError("there is no latency to draw: measure at least one network")
    figure = new_figure(5.6, 4.6)
    axes = style_axes(figure.subplots(), title or "Predicted latency", "predicted (ms)", "measured (ms)")
    most, least = max(*predicted, *measured), min(*predicted, *measured)
    margin = 0.06 * ((most - least) or most)
    ends = [max(least - margin, 0), most + margin]
    axes.fill_between(ends, [0.95 * end for end in ends], [1.05 * end for end in ends], color=GRID, linewidth=0)
    axes.plot(ends, ends, color=MUTED, linewidth=1, zorder=2)
    millions = [count / 1e6 for count in flops]
    dots = axes.scatter(predicted, measured, c=millions, cmap=SCALE, s=30, edgecolor="white", linewidth=0.5, zorder=4)
    axes.set(xlim=ends, ylim=ends)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6))
    add_flops_bar(figure, dots, axes)
    return save_figure(figure, path)
