"""Painting textured round parts on a canvas, anti-aliased, without supersampling.

A part is a solid of revolution round the line ``a -> b``: its outline is the distance to the line against a
width, its surface a texture (see ``clothes``) looked up at the direction that faces the camera. Coordinates
are pixels, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Point = tuple[float, float]


@dataclass(frozen=True)
class Light:
    """``shade = ambient + diffuse * cos(angle - azimuth)`` over the visible half of a part."""

    azimuth: float
    ambient: float
    diffuse: float


def paint(
    canvas: np.ndarray,
    a: Point,
    b: Point,
    widths: tuple[tuple[float, float], ...],
    texture: np.ndarray,
    yaw: float,
    light: Light,
    rounded: bool = True,
    rows: tuple[float, float] = (0.0, 1.0),
) -> None:
    """Paint one part on ``canvas (H, W, 3) float32`` in place.

    Args:
        a, b: ends of the axis, ``(x, y)``.
        widths: ``(t, half width in pixels)`` knots with ``t`` from 0 at ``a`` to 1 at ``b``.
        texture: ``(R, A, 3) float32``.
        yaw: direction of the person, radians; 0 faces the camera.
        rounded: round ends beyond ``a`` and ``b``; otherwise they are cut straight.
        rows: part of the texture that lies between ``a`` and ``b``, as fractions.
    """
    height, width = canvas.shape[:2]
    ts, ws = (np.array(v) for v in zip(*widths, strict=True))
    margin = ws.max() + 1.0
    x0, x1 = max(int(min(a[0], b[0]) - margin), 0), min(int(max(a[0], b[0]) + margin) + 2, width)
    y0, y1 = max(int(min(a[1], b[1]) - margin), 0), min(int(max(a[1], b[1]) + margin) + 2, height)
    if x0 >= x1 or y0 >= y1:
        return
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = max(float(np.hypot(dx, dy)), 1e-3)
    ux, uy = dx / length, dy / length
    px = np.arange(x0, x1, dtype=np.float32)[None, :] - np.float32(a[0])
    py = np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(a[1])
    along = px * np.float32(ux) + py * np.float32(uy)
    aside = px * np.float32(uy) - py * np.float32(ux)
    inside = np.minimum(np.maximum(along, 0), np.float32(length))
    half = np.interp(inside * np.float32(1 / length), ts, ws).astype(np.float32)
    over = along - inside
    if rounded:
        alpha = half + np.float32(0.5) - np.sqrt(aside * aside + over * over)
        alpha = np.minimum(np.maximum(alpha, 0), 1)
    else:
        alpha = np.minimum(np.maximum(half + np.float32(0.5) - np.abs(aside), 0), 1)
        alpha *= np.maximum(1 - np.abs(over), 0)
    # The angle round the axis, from the side it faces the camera with: its sine first.
    sine = np.minimum(np.maximum(aside / np.maximum(half, np.float32(0.1)), -1), 1)
    count, angles = texture.shape[:2]
    row = np.float32(rows[0]) + inside * np.float32((rows[1] - rows[0]) / length)
    column = (np.arcsin(sine) - np.float32(yaw)) * np.float32(angles / (2 * np.pi)) + angles // 2
    index = (row * np.float32(count - 1e-3)).astype(np.intp) * angles + column.astype(np.intp) % angles
    color = texture.reshape(-1, 3).take(index, axis=0)
    # cos(angle - azimuth), by the addition theorem.
    facing = np.sqrt(1 - sine * sine) * np.float32(np.cos(light.azimuth)) + sine * np.float32(np.sin(light.azimuth))
    color *= (np.float32(light.ambient) + np.float32(light.diffuse) * facing)[..., None]
    region = canvas[y0:y1, x0:x1]
    color -= region
    color *= alpha[..., None]
    region += color


def darken(canvas: np.ndarray, center: Point, radii: Point, strength: float) -> None:
    """A soft elliptical shadow, in place."""
    height, width = canvas.shape[:2]
    x = (np.arange(width, dtype=np.float32)[None, :] - center[0]) / radii[0]
    y0, y1 = max(int(center[1] - radii[1]), 0), min(int(center[1] + radii[1]) + 2, height)
    if y0 >= y1:
        return
    y = (np.arange(y0, y1, dtype=np.float32)[:, None] - center[1]) / radii[1]
    canvas[y0:y1] *= (1 - strength * np.clip(1 - x * x - y * y, 0, 1))[..., None].astype(np.float32)
