"""Effects of choices on the score of a search: a bar for each option of the choices that matter most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from evaluation.pictures.style import ACCENT, INK, MUTED, SERIES, new_figure, save_figure, style_axes
from reid.errors import UserError

TOP = 10
"""Choices that are drawn."""

GAP = 0.7
"""Room between two choices, in bars."""

MARK = {"s": 14, "facecolor": "white", "edgecolor": INK, "linewidth": 0.8}
"""Marker of an effect at equal FLOPs."""


def draw_effects(explanation: Mapping[str, Any], path: Path) -> Path:
    """A PNG of ``effects.json``: effects in points of mAP with a standard error either way, those at equal FLOPs as
    marks beside them.

    Raises:
        UserError: no choice has an effect.
    """
    groups = [(each, known) for each in explanation["dimensions"] if (known := _known(each["options"]))][:TOP]
    if not groups:
        raise UserError("no effect to draw: every candidate took the same options")
    places = bar_places([len(known) for _, known in groups])
    bars = sum(len(known) for _, known in groups)
    figure = new_figure(7.5, 1.6 + 0.21 * (bars + GAP * len(groups)))
    axes = style_axes(figure.subplots(), "What moved the score", "effect on held-out mAP (points)", "")
    said = f"main effects, cross-validated R² {explanation['r2']:.2f}"
    axes.set_title(said, loc="right", fontsize=8.5, color=MUTED, pad=10)
    for (_, known), at in zip(groups, places, strict=True):
        effects = [row["effect"] for row in known]
        colours = [ACCENT if effect >= 0 else SERIES[1] for effect in effects]
        axes.barh(at, effects, xerr=[row["error"] for row in known], height=0.8, color=colours, ecolor=MUTED)
        axes.scatter([row["at_equal_flops"] for row in known], at, **MARK, zorder=4)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.scatter([], [], **MARK, label="at equal FLOPs")
    figure.legend(loc="outside lower center", frameon=False, fontsize=8.5)
    axes.set_yticks([place for at in places for place in at], [_label(row) for _, known in groups for row in known])
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.grid(False, axis="y")
    _name_groups(axes, [(dimension, sum(at) / len(at)) for (dimension, _), at in zip(groups, places, strict=True)])
    return save_figure(figure, path)


def _name_groups(axes: Axes, groups: Sequence[tuple[Mapping[str, Any], float]]) -> None:
    """The choices' names and shares left of their options, however wide those are."""
    axes.figure.draw_without_rendering()  # only then do the ticks have their texts
    options = max(label.get_window_extent().width for label in axes.get_yticklabels()) * 72 / axes.figure.dpi
    for dimension, middle in groups:
        axes.annotate(
            f"{dimension['name']}\n{100 * dimension['share']:.0f} %",
            (0, middle),
            (-options - 14, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8.5,
            color=INK,
            fontweight="bold",
        )


def bar_places(counts: list[int]) -> list[list[float]]:
    """Where the bars of groups of ``counts`` bars stand: 1 apart within a group, ``GAP`` more between groups."""
    places, start = [], 0.0
    for count in counts:
        places.append([start + bar for bar in range(count)])
        start += count + GAP
    return places


def _known(options: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in options if row["effect"] is not None]


def _label(row: Mapping[str, Any]) -> str:
    option = row["option"]
    word = ("yes" if option else "no") if isinstance(option, bool) else option
    return f"{word} ({row['candidates']})"
