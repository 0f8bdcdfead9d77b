"""The scene behind the persons: one wide picture per camera, of which every shot sees another part."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from reid.data.synthetic.camera import Camera

WIDE = (160, 480)
"""Height and width of a scene in pixels, for images 128 pixels high."""


def clouds(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> np.ndarray:
    """Smooth noise ``shape float32`` in about -1..1 with ``cells`` blobs in height and width."""
    small = Image.fromarray(rng.uniform(-1, 1, cells).astype(np.float32))
    return np.asarray(small.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


@lru_cache(maxsize=16)
def scene(seed: int, camera: Camera) -> np.ndarray:
    """The whole scene of a camera, ``WIDE + (3,) float32`` in 0..1."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, 4, camera.number)))
    height, width = WIDE
    x, y = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
    wall_color, ground_color = rng.uniform(0.3, 0.8, 3), rng.uniform(0.3, 0.7, 3)
    # Towns are mostly grey: pull the random colours halfway to it.
    wall_color, ground_color = (0.5 * (c + c.mean()) for c in (wall_color, ground_color))
    wall, ground = np.zeros(WIDE, np.float32), 0.12 * clouds(rng, WIDE, (20, 40))
    horizon = rng.uniform(0.3, 0.6) * height
    if camera.scene == "bricks":
        row = np.floor(y / 9)
        wall = wall - 0.22 * (((y % 9) < 1.5) | (((x + 8 * row) % 17) < 1.5))
    elif camera.scene == "lawn":
        wall_color, ground_color = np.array((0.25, 0.36, 0.2)), np.array((0.38, 0.5, 0.26))
        wall = 0.25 * clouds(rng, WIDE, (10, 30)) - 0.15 * ((x % 71) < 9)
    elif camera.scene == "shop front":
        wall = 0.35 * clouds(rng, WIDE, (4, 14)) - 0.3 * ((x % 53) < 5) + 0.25 * (y < 18)
        ground = ground - 0.15 * (((x + 0.7 * y) % 21 < 1.5) | (y % 15 < 1.5))
    elif camera.scene == "road":
        wall = 0.3 * np.sign(clouds(rng, WIDE, (5, 24)))
        ground_color = np.full(3, 0.36)
        ground = ground + 0.4 * ((np.abs(y - height * 0.8) < 4) & (x % 90 < 50))
    elif camera.scene == "fence":
        wall = 0.1 * clouds(rng, WIDE, (8, 20)) - 0.28 * ((x % 12) < 3.5) - 0.2 * (np.abs(y - horizon + 10) < 3)
    else:
        wall = 0.15 * clouds(rng, WIDE, (3, 9)) + 0.25 * ((x % 97) < 30) * (y > 25)
        ground = ground + 0.25 * clouds(rng, WIDE, (3, 30)) * ((x // 24 + y // 12) % 2)
    slope = horizon + rng.uniform(-0.06, 0.06) * (x - width / 2)
    upper = wall_color + wall[..., None] + 0.06 * clouds(rng, WIDE, (40, 120))[..., None]
    lower = ground_color + (ground + 0.1 * clouds(rng, WIDE, (80, 240)))[..., None]
    return np.clip(np.where((y < slope)[..., None], upper, lower), 0.02, 0.98).astype(np.float32)


def backdrop(seed: int, camera: Camera, place: float, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """What a shot sees of the scene, ``size + (3,) float32``, with things that stand about.

    Args:
        place: 0..1, where in the scene the person walks.
    """
    wide = scene(seed, camera)
    crop_h = int(rng.integers(104, 150))
    crop_w = min(int(crop_h * size[1] / size[0] * rng.uniform(0.85, 1.2)), WIDE[1] - 1)
    left = int(np.clip(place + rng.normal(0, 0.2), 0, 1) * (WIDE[1] - crop_w))
    top = int(rng.integers(0, WIDE[0] - crop_h))
    part = (wide[top : top + crop_h, left : left + crop_w] * 255).astype(np.uint8)
    picture = Image.fromarray(part).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    canvas = np.asarray(picture).astype(np.float32) / 255
    for _ in range(int(rng.integers(0, 3))):
        x, y = int(rng.integers(-6, size[1])), int(rng.integers(0, int(size[0] * 0.7)))
        w, h = int(size[1] * rng.uniform(0.06, 0.35)), int(size[0] * rng.uniform(0.15, 0.6))
        color = rng.uniform(0.1, 0.8, 3)
        color = 0.5 * (color + color.mean())
        region = canvas[y : y + h, max(x, 0) : max(x + w, 0)]
        region += np.float32(0.8) * (color.astype(np.float32) - region)
    return canvas
