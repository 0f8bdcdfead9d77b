"""What can be seen in a written picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from evaluation.pictures.costs import FAINT


def count_pixels(picture: np.ndarray, colour: str) -> int:
    """How many pixels of ``(h, w, C)`` in 0..1 have the colour, but for rounding."""
    pixels = np.rint(picture[..., :3] * 255).reshape(-1, 3)
    return int((np.abs(pixels - np.array(to_rgb(colour)) * 255).max(axis=1) <= 1).sum())


def has_front(path: Path) -> bool:
    """Whether a line joins the networks that no other one beats, in a picture by ``draw_costs``."""
    return count_pixels(imread(path), FAINT) > 300
