"""Shared by all pictures: canvas, colours, axes, saving. No global matplotlib state is read or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

from evaluation.pictures.scripts import make_legible, texts_of
from reid.files import write_atomic

DPI = 120

INK = "#24292f"
MUTED = "#6b737c"
GRID = "#e4e7eb"
ACCENT = "#1f6fb2"

SERIES = (ACCENT, "#c8612b", "#3d8f63", "#8a63a8", "#b3892a", "#5b7f95")
"""Colours of series in order; distinguishable in print and by most colour-blind readers."""

KINDS = {
    "searched": ACCENT,
    "baseline": "#6b737c",
    "supernet": "#c8612b",
    "random": "#8a63a8",
    "zoo": ACCENT,
    "published": "#c8612b",
    "pretrained": "#aab3bc",
}
"""Colours of the kinds of networks, the same in every picture."""

KIND_WORDS = {
    "searched": "found by the search",
    "supernet": "supernet's weights",
    "random": "random arch",
    "zoo": "in the zoo",
    "published": "published, from scratch",
    "pretrained": "published, from ImageNet weights",
}
"""Names of kinds in legends; a kind that is not listed goes by its own name."""

LEGEND = {"frameon": False, "fontsize": 8.5, "labelcolor": INK}

ERROR_BAR = {"color": INK, "elinewidth": 1.1, "capsize": 3.5, "capthick": 1.1, "zorder": 5}
"""Error bars, drawn over the dots, since most bars are shorter than a dot."""

SCALE = LinearSegmentedColormap.from_list("cost", ("#bfe0e6", "#4f9fc0", "#1f5f9b", "#1c2f5e"))
"""Colour map for a quantity: light means little."""

MILLION_FLOPS = "FLOPs (millions)"


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure of ``width`` x ``height`` inches on its own Agg canvas (pyplot knows nothing of
    it).
    """
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1, hspace=0.04, wspace=0.04)
    return figure


def style_axes(axes: Axes, title: str, xlabel: str, ylabel: str) -> Axes:
    """A light grid behind the data, two spines, a left-aligned title."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=10, parse_math=False)
    axes.set_xlabel(xlabel, fontsize=9.5, color=INK)
    axes.set_ylabel(ylabel, fontsize=9.5, color=INK)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=8.5, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#b6bcc3")
    return axes


def add_flops_bar(figure: Figure, dots: PathCollection, axes: Axes | Sequence[Axes], rows: int = 1) -> None:
    """Adds a colour bar of million FLOPs for ``dots`` beside ``axes``, which may lie in several ``rows``."""
    bar = figure.colorbar(dots, ax=axes, pad=0.02, aspect=28 * rows)
    bar.set_label(MILLION_FLOPS, fontsize=9, color=INK)
    bar.ax.tick_params(colors=MUTED, labelsize=8, length=2)
    bar.outline.set_visible(False)


def save_figure(figure: Figure, path: Path, texts: Mapping[str, str] | None = None) -> Path:
    """Writes a PNG atomically, with ``texts`` in it by name. The same figure gives the same bytes: no date or version
    is written."""
    make_legible(texts_of(figure))
    # Not by ``savefig``, which draws everything once more just for the layout.
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
        figure.set_layout_engine("none")
    return write_atomic(
        Path(path), lambda file: figure.canvas.print_png(file, metadata={"Software": None, **(texts or {})})
    )


def text_in(path: Path, name: str) -> str | None:
    """The text called ``name`` in a PNG file; None if the text or the file does not exist."""
    try:
        with Image.open(path) as picture:
            return picture.info.get(name)
    except OSError:
        return None
