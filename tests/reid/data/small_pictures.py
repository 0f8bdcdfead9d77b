"""Small pictures on disk, and what the image cache makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from reid.data.cache import load_images
from reid.data.records import ImageRecord


def save(path: Path, seed: int, height: int = 32, width: int = 16) -> ImageRecord:
    """A smooth random picture: noise would make JPEG decoders and resizing filters hard to compare."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return ImageRecord(str(path), pid=seed + 1, camid=seed % 6 + 1)


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def load(records: list[ImageRecord], folder: Path, size: tuple[int, int] | None = None):
    return load_images(records, folder / "cache", size, progress=False, workers=2)
