"""Image files of a folder, in an order that is the same on every machine."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import NoReturn

from reid.errors import UserError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"})


def image_names(folder: Path) -> list[str]:
    """Names of the images directly in ``folder``, sorted. Hidden files and non-images (``Thumbs.db``) are left out.

    Raises:
        UserError: the folder cannot be read.
    """
    return _ordered([name for name in entry_names(folder) if is_image(name)])


def entry_names(folder: Path) -> list[str]:
    """Names of all files and folders in ``folder``, sorted. Raises UserError if it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        _refuse(error)


def image_paths(folder: Path) -> list[str]:
    """Paths of the images at any depth below ``folder``, relative to it and with ``/``, sorted. Links are followed,
    except those to a folder that contains them, which would repeat all images.

    Raises:
        UserError: a folder cannot be read.
    """
    paths = []
    above = {os.fspath(folder): (os.path.realpath(folder),)}  # the real folders that contain each folder to come
    for base, folders, names in os.walk(os.fspath(folder), onerror=_refuse, followlinks=True):
        here, visible = above.pop(base), [name for name in folders if not name.startswith(".")]
        below = {name: _real(base, here[-1], name) for name in visible}
        folders[:] = [name for name, real in below.items() if not any(_is_in(each, real) for each in here)]
        above |= {os.path.join(base, name): (*here, below[name]) for name in folders}
        inside = Path(base).relative_to(folder)
        paths += [(inside / name).as_posix() for name in names if is_image(name)]
    return _ordered(paths)


def composed(text: str) -> str:
    """``text`` with each letter and its accent as one character (Unicode's NFC); files from a Mac use two."""
    return unicodedata.normalize("NFC", text)


def _ordered(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: (composed(name), name))


def _real(base: str, real_base: str, name: str) -> str:
    path = os.path.join(base, name)
    return os.path.realpath(path) if os.path.islink(path) else os.path.join(real_base, name)


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _refuse(error: OSError) -> NoReturn:
    raise UserError(
        f"folder {error.filename} cannot be read: {error.strerror}; make it readable, or move it away"
    ) from None


def is_image(name: str) -> bool:
    """Whether a file of this name counts as an image."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
