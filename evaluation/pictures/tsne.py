"""Embeddings of persons in a plane: a colour for each person, a marker for each camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from evaluation.pictures.labels import place_labels
from evaluation.pictures.style import INK, MUTED, new_figure, save_figure, style_axes
from evaluation.tsne import Plane
from reid.data.records import NO_CAMERA
from reid.errors import UserError

MOST = 20
"""Persons that colours tell apart."""

MARKERS = "os^DvPX*<>phd8H"
"""Markers of the cameras in ascending order; they repeat from the 16th on."""


def draw_tsne(
    plane: Plane,
    path: Path,
    title: str = "Embeddings (t-SNE)",
    person: Callable[[int], str] = str,
    camera: Callable[[int], str] = str,
    word: str = "person",
    legend: bool = False,
) -> Path:
    """A PNG of the images as dots, each person's name beside that person's central dot.

    Args:
        person, camera: names of identities and cameras.
        word: what the colours distinguish, if not persons.
        legend: also list the colours with their names, at the side.

    Raises:
        UserError: there are more than ``MOST`` persons.
    """
    persons, cameras = np.unique(plane.pids), np.unique(plane.camids)
    if len(persons) > MOST:
        raise UserError(f"t-SNE of {len(persons)} {word}s: only {MOST} colours can be told apart; lower --persons")
    colours = matplotlib.colormaps["tab10" if len(persons) <= 10 else "tab20"].colors
    figure = new_figure(7.6, 6.4)
    axes = style_axes(figure.subplots(), title, "", "")
    axes.set_xticks([])
    axes.set_yticks([])
    for number, pid in enumerate(persons):
        for place, camid in enumerate(cameras):
            own = plane.points[(plane.pids == pid) & (plane.camids == camid)]
            look = {"marker": MARKERS[place % len(MARKERS)], "color": colours[number]}
            axes.scatter(*own.T, s=30, edgecolor="white", linewidth=0.3, zorder=3, **look)
    axes.margins(0.08)
    if (cameras != NO_CAMERA).any():
        _name_cameras(axes, [camera(camid) for camid in cameras.tolist()])
    if legend:
        _name_colours(axes, [person(pid) for pid in persons.tolist()], colours, word)
    figure.supxlabel(_footer(plane, word), fontsize=8, color=MUTED, x=0.01, ha="left")
    before = len(axes.texts)
    middles = [_middle(plane.points[plane.pids == pid]) for pid in persons]
    place_labels(axes, middles, [person(pid) for pid in persons.tolist()], gap=6, others=plane.points)
    for text, colour in zip(axes.texts[before:], colours, strict=False):
        text.set(color=_darker(colour), fontweight="bold", path_effects=[withStroke(linewidth=2.5, foreground="white")])
    return save_figure(figure, path)


def _name_colours(axes: Axes, names: list[str], colours: Sequence[tuple[float, ...]], word: str) -> None:
    handles = [
        Line2D([], [], linestyle="", marker="o", color=colour, label=_plain(name))
        for name, colour in zip(names, colours, strict=False)
    ]
    look = {"frameon": False, "fontsize": 8.5, "labelcolor": INK, "title": word, "title_fontsize": 8.5}
    # The legend of the cameras, if any, keeps the upper place; a second legend would otherwise replace it.
    cameras = axes.get_legend()
    where = ("lower left", (1.0, 0.0)) if cameras else ("upper left", (1.0, 1.0))
    axes.legend(handles=handles, loc=where[0], bbox_to_anchor=where[1], **look)
    if cameras:
        axes.add_artist(cameras)


def _plain(name: str) -> str:
    """A legend's entry: matplotlib takes dollars for formulas, and leaves out what begins with an underscore."""
    name = name.replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name


def _name_cameras(axes: Axes, names: list[str]) -> None:
    handles = [
        Line2D([], [], linestyle="", marker=MARKERS[place % len(MARKERS)], color=MUTED, label=_plain(name))
        for place, name in enumerate(names)
    ]
    look = {"frameon": False, "fontsize": 8.5, "labelcolor": INK, "title": "camera", "title_fontsize": 8.5}
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), **look)


def _footer(plane: Plane, word: str) -> str:
    persons = len(np.unique(plane.pids))
    return (
        f"{len(plane.pids)} images of {persons} {word}s; perplexity {plane.perplexity:.4g}, seed {plane.seed}. "
        "Only neighbourhoods have a meaning, no axis and no gap."
    )


def _middle(points: np.ndarray) -> tuple[float, float]:
    """The point with the least sum of distances to the others; always one of the points."""
    between = np.linalg.norm(points[:, None] - points[None], axis=2)
    x, y = points[between.sum(axis=1).argmin()].tolist()
    return x, y


def _darker(colour: tuple[float, float, float]) -> tuple[float, ...]:
    """A darker shade of a dot's colour, legible as text."""
    return tuple(0.7 * part for part in colour)
