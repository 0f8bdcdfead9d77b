"""Activation maps, drawn beside and over their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

from evaluation.pictures.sheet import BORDER, Sheet, tile_size
from evaluation.pictures.style import GRID, MUTED

COLOURS = matplotlib.colormaps["turbo"]
"""Blue is little, red is much."""

SHARE = 0.5
"""Opacity of the map's colour over an image."""

MARGIN, GAP, LINE, ACROSS = 16, 6, 15, 3
"""Pixels around the sheet, between an image and its maps, for a line of words; images in a row."""

NARROWEST = 640
"""Width that the words need, in pixels."""

FOOTER = "Each: the image, its map, the map over it. Blue: least active place of that image; red: most."


@dataclass(frozen=True, eq=False)
class ActivationTile:
    """Attributes:
    pixels: ``(H, W, 3) uint8``.
    strength: ``(H, W)`` in 0..1; see ``evaluation.features.activations.upsampled``.
    caption: what the image is of.
    """

    pixels: np.ndarray
    strength: np.ndarray
    caption: str


def heat(strength: np.ndarray) -> np.ndarray:
    """``(H, W)`` in 0..1 as colours, ``(H, W, 3) uint8``."""
    return COLOURS(strength, bytes=True)[..., :3]


def overlay(pixels: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """``(H, W, 3) uint8``: the map's colours over the image in grey, so that clothes are not taken for the map."""
    grey = pixels @ np.array([0.299, 0.587, 0.114])
    return np.rint((1 - SHARE) * grey[..., None] + SHARE * heat(strength)).astype(np.uint8)


def draw_activation_maps(tiles: Sequence[ActivationTile], path: Path, footer: Sequence[str] = ()) -> Path:
    """A PNG of at least one image, each with its map beside it and then over it; the lines of ``footer`` go below."""
    size = tile_size(*tiles[0].pixels.shape[:2])
    triple = 3 * (size[1] + 2 * BORDER) + 2 * GAP
    line = size[0] + 2 * BORDER + LINE + 12
    across = min(ACROSS, len(tiles))
    rows = -(-len(tiles) // across)
    lines = [FOOTER, *footer]
    width = max(2 * MARGIN + across * triple + (across - 1) * 3 * GAP, NARROWEST)
    sheet = Sheet(width, 2 * MARGIN + rows * line + LINE * len(lines))
    for number, tile in enumerate(tiles):
        x = MARGIN + number % across * (triple + 3 * GAP)
        y = MARGIN + number // across * line
        sheet.words(tile.caption, x, y, room=triple)
        for place, pixels in enumerate((tile.pixels, heat(tile.strength), overlay(tile.pixels, tile.strength))):
            left = x + BORDER + place * (size[1] + 2 * BORDER + GAP)
            sheet.photograph(pixels, left, y + LINE + BORDER, size, GRID)
    for number, text in enumerate(lines):
        y = MARGIN + rows * line + number * LINE
        sheet.words(text, MARGIN, y, color=MUTED, room=sheet.width - 2 * MARGIN)
    return sheet.save(path)
