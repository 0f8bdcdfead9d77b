"""Ranked lists: queries with their nearest gallery images, right and wrong ones marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.pictures.sheet import BORDER, TILE, Sheet, tile_size
from evaluation.pictures.style import INK, MUTED

RIGHT, WRONG = "#1a8f3c", "#d1242f"
"""Border colours; a tick and a cross repeat them for readers who cannot tell them apart."""

MARGIN, GAP, LINE, AFTER_QUERY = 16, 12, 15, 14
"""Pixels around the sheet, between images, for a line of words, and between query and gallery besides."""

NARROWEST = 740
"""Width that the words need, in pixels."""

FOOTER = "Left: the query; then the gallery, nearest first. Green and ✓: the same person. Red and ✗: another one."


@dataclass(frozen=True, eq=False)
class ListTile:
    """Attributes:
    layers: images ``(H, W, 3) uint8`` of one person, top to bottom: the photograph, its activation map.
    caption: at most two lines: the person and the camera.
    right: whether it is of the query's person; None for the query.
    distance: from the query; None for the query.
    """

    layers: tuple[np.ndarray, ...]
    caption: tuple[str, ...]
    right: bool | None = None
    distance: float | None = None


@dataclass(frozen=True, eq=False)
class ListRow:
    """Attributes:
    query: the image that is looked up.
    found: the nearest gallery images, nearest first.
    heading: the person searched for, and the result.
    """

    query: ListTile
    found: tuple[ListTile, ...]
    heading: str


@dataclass(frozen=True)
class Layout:
    """Positions in pixels.

    Attributes:
        size: height and width of an image.
        layers: images stacked in a tile.
        tiles: gallery images of the longest row.
        rows: queries.
    """

    size: tuple[int, int]
    layers: int
    tiles: int
    rows: int

    @property
    def step(self) -> int:
        """Distance from an image to the next; narrow images are spaced out to fit the words below them."""
        return max(self.size[1], TILE) + 2 * BORDER + GAP

    @property
    def row(self) -> int:
        """Distance from a query to the next: a heading, images with borders, three lines of words, space."""
        return 4 * LINE + self.layers * (self.size[0] + 2 * BORDER) + 20

    @property
    def width(self) -> int:
        return 2 * MARGIN + (self.tiles + 1) * self.step - GAP + AFTER_QUERY

    def corner(self, row: int, place: int, layer: int = 0) -> tuple[int, int]:
        """``(x, y)`` of an image's upper left pixel, inside its border; ``place`` 0 is the query."""
        x = MARGIN + BORDER + place * self.step + (AFTER_QUERY if place else 0) + max(TILE - self.size[1], 0) // 2
        return x, MARGIN + row * self.row + LINE + 4 + BORDER + layer * (self.size[0] + 2 * BORDER)


def layout_of(rows: Sequence[ListRow]) -> Layout:
    """The layout of rows whose images are all of one size."""
    query = rows[0].query
    size = tile_size(*query.layers[0].shape[:2])
    return Layout(size, len(query.layers), max(len(row.found) for row in rows), len(rows))


def draw_ranked_lists(rows: Sequence[ListRow], path: Path, footer: Sequence[str] = ()) -> Path:
    """A PNG of at least one query; the lines of ``footer`` go below."""
    layout = layout_of(rows)
    lines = [FOOTER, *footer]
    height = 2 * MARGIN + layout.rows * layout.row + len(lines) * LINE
    sheet = Sheet(max(layout.width, NARROWEST), height)
    room = sheet.width - 2 * MARGIN
    for number, row in enumerate(rows):
        sheet.words(row.heading, MARGIN, MARGIN + number * layout.row, size=8.5, bold=True, room=room)
        for place, tile in enumerate((row.query, *row.found)):
            _draw(sheet, layout, number, place, tile)
    for number, text in enumerate(lines):
        y = MARGIN + layout.rows * layout.row + number * LINE
        sheet.words(text, MARGIN, y, color=MUTED, room=room)
    return sheet.save(path)


def _draw(sheet: Sheet, layout: Layout, row: int, place: int, tile: ListTile) -> None:
    border = INK if tile.right is None else RIGHT if tile.right else WRONG
    for layer, pixels in enumerate(tile.layers):
        x, y = layout.corner(row, place, layer)
        sheet.photograph(pixels, x, y, layout.size, border)
    y += layout.size[0] + BORDER + 4
    middle, room = x + layout.size[1] / 2, layout.step - 2
    first = "query" if tile.right is None else f"{'✓' if tile.right else '✗'} {_figures(tile.distance)}"
    for number, text in enumerate((first, *tile.caption)):
        color = MUTED if number else border
        sheet.words(text, middle, y + number * LINE, size=7, color=color, middle=True, bold=not number, room=room)


def _figures(distance: float) -> str:
    """Three decimals; two significant digits for tiny distances, which would all print as 0.000."""
    return f"{distance:.2g}" if 1e-6 < distance < 0.01 else f"{max(distance, 0):.3f}"
