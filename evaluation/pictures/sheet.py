"""A sheet of photographs with borders and words, laid out in whole pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform
from PIL import Image

from evaluation.pictures.scripts import make_legible
from evaluation.pictures.style import DPI, INK, save_figure

BORDER = 4
"""Width of a photograph's border in pixels."""

TILE = 64
"""Width of a photograph in pixels: Market-1501's are shown as they are."""

TALLEST = 192
"""Greatest height of a photograph; taller ones are shrunk."""


ASCENT = 0.76
"""Height of the tallest letters of matplotlib's own font, as a fraction of the font size."""


class Sheet:
    """White paper of ``width`` x ``height`` pixels; ``x`` goes to the right, ``y`` down, from the upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.pixels = np.full((height, width, 3), 255, np.uint8)
        # Half a pixel more: the canvas cuts fractions off.
        self.figure = Figure(figsize=((width + 0.5) / DPI, (height + 0.5) / DPI), dpi=DPI, facecolor="white")
        self._canvas = FigureCanvasAgg(self.figure)

    def photograph(self, pixels: np.ndarray, x: int, y: int, size: tuple[int, int], border: str | None = None) -> None:
        """Puts ``(H, W, 3) uint8`` at ``size = (height, width)`` with its upper left corner at ``(x, y)``, and a border
        around it."""
        height, width = size
        if border is not None:
            rows, columns = slice(y - BORDER, y + height + BORDER), slice(x - BORDER, x + width + BORDER)
            self.pixels[rows, columns] = np.rint(np.array(to_rgb(border)) * 255).astype(np.uint8)
        self.pixels[y : y + height, x : x + width] = scaled(pixels, size)

    def words(
        self,
        text: str,
        x: float,
        y: float,
        size: float = 7.5,
        color: str = INK,
        bold: bool = False,
        middle: bool = False,
        room: float | None = None,
    ) -> Text:
        """Writes a line that begins at ``x``, or is centred there with ``middle``, and whose top is at ``y``. A line
        wider than ``room`` pixels gets an ellipsis in its middle, since similar names differ at their end. A ``$`` does
        not begin a formula."""
        # By the baseline: matplotlib's top depends on the letters, so lines side by side would be uneven.
        up = self.height - y - ASCENT * size * DPI / 72
        line = Text(
            x, up, text, fontsize=size, color=color, fontweight="bold" if bold else "normal",
            ha="center" if middle else "left", va="baseline", parse_math=False, transform=IdentityTransform(),
        )  # fmt: skip
        self.figure.add_artist(line)
        make_legible([line])
        text = line.get_text()
        renderer, kept = self._canvas.get_renderer(), len(text)
        while room is not None and kept > 2 and line.get_window_extent(renderer).width > room:
            kept -= 1
            line.set_text(f"{text[: (kept + 1) // 2].rstrip()}…{text[-(kept // 2) :].lstrip()}")
        return line

    def save(self, path: Path) -> Path:
        """Writes the PNG atomically; the same sheet gives the same bytes."""
        self.figure.figimage(self.pixels, 0, 0, origin="upper", zorder=-1)
        return save_figure(self.figure, path)


def scaled(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``(H, W, 3) uint8`` at ``size = (height, width)``, bicubic."""
    if pixels.shape[:2] == tuple(size):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def tile_size(height: int, width: int) -> tuple[int, int]:
    """Height and width that photographs of ``height`` x ``width`` are drawn at: ``TILE`` wide, in proportion."""
    shown = round(TILE * height / width)
    return (shown, TILE) if shown <= TALLEST else (TALLEST, max(round(TALLEST * width / height), 16))
