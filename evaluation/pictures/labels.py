"""Labels beside points that overlap neither each other nor the points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from evaluation.pictures.scripts import make_legible, texts_of
from evaluation.pictures.style import INK

_ANGLES = (0, 90, 270, 180, 45, 315, 135, 225)
_DISTANCES = (9, 18, 30, 44, 60)


def place_labels(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    size: float = 8.5,
    gap: float = 7,
    spreads: Sequence[float | None] = (),
    others: Sequence[tuple[float, float]] = (),
) -> list[Bbox]:
    """Writes ``texts`` beside ``points`` (data coordinates) and returns the boxes they take, in pixels.

    For each label the places around its point are tried from near to far, and the first one is taken that
    lies inside the axes and touches no other label, no point and no point's bar; if none is free, the one that
    covers least. Labels far from their point get a thin line. Limits and scales of the axes must be final.

    Args:
        texts: drawn literally; a ``$`` does not begin a formula.
        gap: a point's radius in points.
        spreads: how far each point's bar goes up and down, in data coordinates; None where there is none.
        others: further points that no label may touch.
    """
    figure = axes.figure
    make_legible(texts_of(figure))
    figure.draw_without_rendering()  # the layout engine moves axes; pixels are final after it
    figure.set_layout_engine("none")
    axes.autoscale(False)  # the lines to far labels would move the limits
    renderer = figure.canvas.get_renderer()
    scale = figure.dpi / 72
    pixels = axes.transData.transform(np.asarray(points, dtype=float).reshape(-1, 2))
    obstacles = axes.transData.transform(np.asarray(others, dtype=float).reshape(-1, 2))
    inside = axes.get_window_extent(renderer)
    radius = gap * scale / 2
    taken = [Bbox.from_extents(x - radius, y - radius, x + radius, y + radius) for x, y in (*pixels, *obstacles)]
    for (x, y), spread in zip(points, spreads, strict=bool(spreads)):
        if spread is not None:
            taken.append(axes.transData.transform_bbox(Bbox.from_extents(x, y - spread, x, y + spread)).padded(radius))
    corners = [box.extents for box in taken]
    boxes: list[Bbox] = []
    for (x, y), text in zip(pixels, texts, strict=True):
        label = axes.annotate(text, (0, 0), fontsize=size, color=INK, annotation_clip=False, zorder=6, parse_math=False)
        make_legible([label])
        extent = label.get_window_extent(renderer)
        label.remove()
        choices = [
            (_box_at(x, y, extent.width, extent.height, angle, distance * scale), distance)
            for distance in _DISTANCES
            for angle in _ANGLES
        ]
        there = np.array(corners)
        costs = [_outside(box, inside) + _overlaps(box, there) for box, _ in choices]
        box, distance = choices[int(np.argmin(costs))]  # argmin takes the nearest of the free ones
        corner = axes.transData.inverted().transform((box.x0, box.y0))
        look = {"fontsize": size, "fontfamily": label.get_fontfamily(), "color": INK, "zorder": 6, "parse_math": False}
        axes.text(*corner, label.get_text(), va="bottom", ha="left", **look)
        if distance > _DISTANCES[0] * 1.5:
            ends = axes.transData.inverted().transform([(x, y), _nearest_on(box, x, y)])
            axes.plot(*ends.T, color="#9aa3ac", linewidth=0.7, zorder=1.5)
        corners.append(box.extents)
        boxes.append(box)
    return boxes


def _box_at(x: float, y: float, width: float, height: float, angle: float, distance: float) -> Bbox:
    across, up = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    middle_x = x + across * (distance + width / 2)
    middle_y = y + up * (distance + height / 2)
    return Bbox.from_bounds(middle_x - width / 2, middle_y - height / 2, width, height)


def _overlaps(box: Bbox, others: np.ndarray) -> float:
    """Area in square pixels that ``box``, with two pixels of air around it, has in common with the boxes of ``(N, 4)``
    corners (left, low, right, high), summed."""
    left, low, right, high = box.extents
    width = np.minimum(right + 2, others[:, 2]) - np.maximum(left - 2, others[:, 0])
    height = np.minimum(high + 2, others[:, 3]) - np.maximum(low - 2, others[:, 1])
    return float((width.clip(min=0) * height.clip(min=0)).sum())


def _outside(box: Bbox, frame: Bbox) -> float:
    return box.width * box.height - _overlaps(box.padded(-2), frame.extents[None]) if not _contains(frame, box) else 0.0


def _contains(frame: Bbox, box: Bbox) -> bool:
    return frame.x0 <= box.x0 and frame.y0 <= box.y0 and box.x1 <= frame.x1 and box.y1 <= frame.y1


def _nearest_on(box: Bbox, x: float, y: float) -> tuple[float, float]:
    return float(np.clip(x, box.x0, box.x1)), float(np.clip(y, box.y0, box.y1))
