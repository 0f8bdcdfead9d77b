"""Image files of a folder, in an order that is the same on every machine."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"})


def image_names(folder: Path) -> list[str]:
    """Names of the images directly in ``folder``, sorted. Hidden files and other files (``Thumbs.db``) are left out."""
    return _ordered([name for name in os.listdir(folder) if is_image(name)])


def image_paths(folder: Path) -> list[str]:
    """Paths of the images at any depth below ``folder``, relative to it and with ``/``, sorted. Links are followed."""
    paths = []
    for base, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(base).relative_to(folder)
        paths += [(inside / name).as_posix() for name in names if is_image(name)]
    return _ordered(paths)


def composed(text: str) -> str:
    """``text`` with each letter and its accent as one character (Unicode's NFC): files from a Mac have two."""
    return unicodedata.normalize("NFC", text)


def _ordered(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: (composed(name), name))


def is_image(name: str) -> bool:
    """Whether a file of this name is taken for an image."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
