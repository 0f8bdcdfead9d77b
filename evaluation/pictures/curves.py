"""Training curves from the records of a run's ``metrics.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isfinite
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from evaluation.pictures.style import INK, SERIES, new_figure, save_figure, style_axes
from reid.errors import UserError

SCORES = ("mAP", "mAP_trapezoid", "rank1", "rank5", "rank10", "rank20", "mINP")
UNITS = {
    "Losses": "loss",
    "Accuracy in training": "share of the batch",
    "Scores": "%",
    "Learning rate": "rate",
    "Speed": "images/s",
}
"""What the y axis of a panel says."""

COUNTS = ("epoch", "step", "queries", "skipped_queries")
"""Fields that say where a record stands or what was counted: no curves."""

Curve = tuple[list[float], list[float]]


def draw_curves(records: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """A PNG with a panel for each group of numeric fields: losses, accuracies, scores, and every other field
    by itself.

    Args:
        records: one for each epoch (``reid.engine.run_folder.read_metrics``), with ``epoch`` and any numeric
            fields; a field need not be in every record.

    Raises:
        UserError: no record has a numeric field.
    """
    panels = group_curves(records)
    if not panels:
        raise UserError("no training curve to draw: the run has logged no epoch yet")
    columns = min(len(panels), 2)
    lines = ceil(len(panels) / columns)
    figure = new_figure(5.2 * columns, 3.1 * lines)
    grid = figure.subplots(lines, columns, squeeze=False).flatten()
    for axes, (title, curves) in zip(grid, panels.items(), strict=False):
        _draw_panel(axes, title, curves)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return save_figure(figure, path)


def group_curves(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Curve]]:
    """``{panel: {field: (epochs, values)}}``; values that are no finite numbers are left out, scores are in
    percent.
    """
    panels: dict[str, dict[str, Curve]] = {}
    for record in records:
        for name, value in record.items():
            if name in COUNTS or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if "epoch" in record and isfinite(value):
                epochs, values = panels.setdefault(_panel(name), {}).setdefault(name, ([], []))
                epochs.append(record["epoch"])
                values.append(100 * value if name in SCORES else value)
    order = ["Losses", "Accuracy in training", "Scores"]
    return dict(sorted(panels.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def _panel(name: str) -> str:
    if name in SCORES:
        return "Scores"
    if "loss" in name.split("_"):
        return "Losses"
    if name.split("_")[-1] == "accuracy":
        return "Accuracy in training"
    return {"lr": "Learning rate", "images_per_second": "Speed"}.get(name, name.replace("_", " "))


def _draw_panel(axes: Axes, title: str, curves: Mapping[str, Curve]) -> None:
    style_axes(axes, title, "epoch", UNITS.get(title, ""))
    for number, (name, (epochs, values)) in enumerate(curves.items()):
        marker = "o" if len(epochs) < 25 else ""
        style = "-" if number < len(SERIES) else "--"
        axes.plot(
            epochs,
            values,
            style,
            color=SERIES[number % len(SERIES)],
            linewidth=1.6,
            marker=marker,
            markersize=3,
            label=name,
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    if title in ("Speed", "Losses") and all(min(values) >= 0 for _, values in curves.values()):
        axes.set_ylim(0, 1.08 * max(max(values) for _, values in curves.values()) or 1)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, ncols=1 if len(curves) < 4 else 2)
