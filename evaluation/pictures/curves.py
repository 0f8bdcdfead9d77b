"""Training curves from the records of a run's ``metrics.jsonl``, or of several runs that differ in their seed."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from evaluation.pictures.panels import PAIRS, RETRIEVAL, Curve, Panel, base_of, panels_of, split_arch, words_of
from evaluation.pictures.style import INK, MUTED, SERIES, new_figure, save_figure, style_axes, text_in
from reid.errors import UserError
from reid.files import write_atomic

Records = Sequence[Mapping[str, Any]]

LOG_FROM = 30
"""A panel of scale ``auto`` is logarithmic where its greatest curve's peak is this many times its smallest's."""

MARKERS_BELOW = 12
"""Points are marked where a curve has fewer."""

LEGEND_COLUMNS = 3

APART, MIXED = "#3d8f63", "#c0392b"
"""Between the hardest pairs: the negatives farther than the positives, as they should be, or nearer."""


RECORDS = "Records"
"""Name of a text in the PNG file: the digest of the records that it was drawn from."""


def draw_curves(histories: Sequence[Records], path: Path, drawn: Sequence[Path] = ()) -> Path:
    """A PNG with a panel for each group of fields (``panels.PANELS``); of several trainings, which differ in their
    seed, one thin line each in the colour of the field.

    Args:
        histories: of each training a record for each epoch (``reid.engine.runs.run_folder.read_metrics``), with
            ``epoch`` and any numeric fields; a field need not be in every record.
        drawn: files that may already be the picture of exactly these records; such a file is copied.

    Raises:
        UserError: no record of any has a numeric field.
    """
    digest = hashlib.sha256(json.dumps(list(map(list, histories)), sort_keys=True).encode()).hexdigest()
    for file in drawn:
        if text_in(file, RECORDS) == digest:
            return file if file == path else write_atomic(path, functools.partial(shutil.copyfile, file))
    found = [panels_of(records) for records in histories]
    panels = panels_of([record for records in histories for record in records])
    if not panels:
        raise UserError("no training curve to draw: the run has logged no epoch yet")
    ends = [epochs for curves in panels.values() for epochs, _ in curves.values()]
    first, last = min(map(min, ends)), max(map(max, ends))
    columns = len(panels) if len(panels) < 3 else 2 if len(panels) == 4 else 3
    lines = ceil(len(panels) / columns)
    figure = new_figure(max(3.7 * columns, 5.2), 2.75 * lines)
    grid = figure.subplots(lines, columns, squeeze=False).flatten()
    for axes, panel in zip(grid, panels, strict=False):
        _draw_panel(axes, panel, list(panels[panel]), [each[panel] for each in found if panel in each])
        margin = 0.03 * (last - first) or 0.5
        axes.set_xlim(first - margin, last + margin)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return save_figure(figure, path, {RECORDS: digest})


def _draw_panel(axes: Axes, panel: Panel, names: Sequence[str], histories: Sequence[Mapping[str, Curve]]) -> None:
    style_axes(axes, "", "epoch", panel.unit)
    colours = _colours(panel, names)
    alone = len(histories) == 1
    for curves in histories:
        for name in names:
            epochs, values = curves.get(name, ([], []))
            axes.plot(
                epochs,
                values,
                _dash(name),
                color=colours[name],
                linewidth=1.7 if alone else 1.0,
                alpha=1.0 if alone else 0.75,
                marker="o" if len(epochs) < MARKERS_BELOW else "",
                markersize=3,
                zorder=3,
            )
    if panel == PAIRS and alone and len(names) == 2:
        _shade_gap(axes, *histories[0].values())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
    _scale(axes, panel, [values for curves in histories for _, values in curves.values()])
    pad = _title(axes, panel, names, colours)
    if panel == RETRIEVAL and alone and base_of(names[0]) == "mAP":
        _mark_best(axes, histories[0][names[0]], colours[names[0]], pad)


def _colours(panel: Panel, names: Sequence[str]) -> dict[str, str]:
    """A colour for each field, the same in every picture; the weighted total is drawn in ink."""
    known = [field for field in panel.fields if field != "loss"]
    bases = [*known, *dict.fromkeys(base_of(name) for name in names if base_of(name) not in panel.fields)]
    palette = {base: SERIES[number % len(SERIES)] for number, base in enumerate(bases)}
    return {name: palette.get(base_of(name), INK) for name in names}


def _dash(name: str) -> str:
    return "--" if split_arch(name)[0] in ("smallest", "random") else "-"


def _shade_gap(axes: Axes, positive: Curve, negative: Curve) -> None:
    if positive[0] == negative[0]:
        epochs, (near, far) = positive[0], (positive[1], negative[1])
        for colour, where in (
            (APART, [b >= a for a, b in zip(near, far, strict=True)]),
            (MIXED, [b < a for a, b in zip(near, far, strict=True)]),
        ):
            axes.fill_between(epochs, near, far, where=where, interpolate=True, color=colour, alpha=0.13, linewidth=0)


def _scale(axes: Axes, panel: Panel, curves: Sequence[Sequence[float]]) -> None:
    positive = [[value for value in values if value > 0] for values in curves]
    positive = [values for values in positive if values]
    peaks = [max(values) for values in positive]
    apart = len(peaks) > 1 and max(peaks) > LOG_FROM * min(peaks)
    if positive and (panel.scale == "log" or (panel.scale == "auto" and apart)):
        _logarithmic(axes, min(map(min, positive)), max(peaks))
        return
    low, high = panel.bounds
    everything = [value for values in curves for value in values]
    if low is not None and min(everything) >= low:
        axes.set_ylim(low, high if high is not None else low + 1.06 * ((max(everything) - low) or 1))


def _logarithmic(axes: Axes, lowest: float, highest: float) -> None:
    """A logarithmic axis with plain numbers at its ticks."""
    axes.set_yscale("log")
    # A nearly constant curve is not magnified to the height of the panel.
    middle = (lowest * highest) ** 0.5
    low, high = min(lowest / 1.3, middle / 3), max(highest * 1.3, middle * 3)
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    digits = (1, 2, 5) if log10(high / low) < 2 else (1,)
    axes.set_yticks([digit * 10.0**power for power in powers for digit in digits])
    axes.set_ylim(low, high)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _title(axes: Axes, panel: Panel, names: Sequence[str], colours: Mapping[str, str]) -> float:
    """Draws the title, and between it and the axes the legend, so that it hides no curve; returns the title's height
    above the axes, in points."""
    handles = {words_of(base_of(name)): _key(colours[name], "-") for name in names}
    dashed = [split_arch(name)[0] for name in names if _dash(name) == "--"]
    if dashed:
        handles[f"{dashed[0]} arch"] = _key(MUTED, "--")
    rows = ceil(len(handles) / LEGEND_COLUMNS) if max(len(handles), len(panel.fields)) > 1 else 0
    pad = 8 + 10.7 * rows
    axes.set_title(panel.title, loc="left", fontsize=10.5, fontweight="bold", color=INK, pad=pad)
    if rows:
        axes.legend(
            handles.values(),
            handles.keys(),
            ncols=min(LEGEND_COLUMNS, len(handles)),
            loc="lower left",
            bbox_to_anchor=(-0.02, 1.0),
            borderpad=0.1,
            borderaxespad=0.2,
            labelspacing=0.25,
            columnspacing=1.2,
            handlelength=1.5,
            handletextpad=0.5,
            frameon=False,
            fontsize=8.5,
            labelcolor=INK,
        )
    return pad


def _key(colour: str, dash: str) -> Line2D:
    return Line2D([], [], color=colour, linestyle=dash, linewidth=2)


def _mark_best(axes: Axes, curve: Curve, colour: str, pad: float) -> None:
    """A ring around the highest point, and its value beside the panel's title."""
    epochs, values = curve
    place = max(range(len(values)), key=values.__getitem__)
    axes.plot(epochs[place], values[place], "o", markersize=6.5, markerfacecolor="white", color=colour, zorder=4)
    said = f"best mAP {values[place]:.1f} in epoch {epochs[place]}"
    axes.set_title(said, loc="right", fontsize=8.5, color=MUTED, pad=pad)
