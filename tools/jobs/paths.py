"""Paths as users give them and as tools show them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from reid.errors import UserError


def check_folder(folder: Path, option: str = "--out") -> None:
    """Raises UserError if ``folder`` is a file or a broken link, lies below one, or is not writable. Anything created
    for the test is removed."""
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir():
        what = "is a file" if there.exists() else "is a link that leads nowhere"
        what = what if there == folder else f"{there} {what}"
        raise UserError(f"{option} {folder}: {what}; name a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{option} {folder}: {there} is not writable; name another folder")
    try:  # below /proc, for example, the owner has write permission, but nothing can be created
        with tempfile.TemporaryDirectory(dir=there, prefix=".tried."):
            pass
    except OSError as error:
        why = error.strerror
        raise UserError(f"{option} {folder}: no file can be created in {there} ({why}); name another folder") from None


def check_file(file: Path, option: str) -> None:
    """Raises UserError if ``file`` cannot be written: it is a folder, or its folder fails ``check_folder``."""
    check_folder(file.parent, f"{option}: folder")
    if file.is_dir():
        raise UserError(f"{option} {file}: is a folder; name a file")


def check_once(paths: Sequence[Path], cure: str) -> None:
    """Raises UserError if two of ``paths`` are the same place; the message ends with ``cure``."""
    real = [os.path.realpath(path) for path in paths]
    if twice := [path for place, path in enumerate(paths) if real[place] in real[:place]]:
        raise UserError(f"{shown(twice[0])} is named twice; {cure}")


def shown(path: Path) -> str:
    """``path`` relative to the working folder if it lies below it."""
    try:
        return str(Path(os.path.realpath(path)).relative_to(Path.cwd()))  # resolve() fails at a link to itself
    except ValueError:
        return str(path)
