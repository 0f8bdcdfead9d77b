"""Folders and files as a user gives them, and as a tool names them."""

from __future__ import annotations

import os
from pathlib import Path

from reid.errors import UserError


def check_folder(folder: Path, option: str = "--out") -> None:
    """Raises UserError where ``folder`` is a file or a broken link, or lies below one, or may not be written in.
    Nothing is made."""
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir():
        what = "is a file" if there.exists() else "is a link that leads nowhere"
        what = what if there == folder else f"{there} {what}"
        raise UserError(f"{option} {folder}: {what}; name a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{option} {folder}: {there} cannot be written in; name another folder")


def shown(path: Path) -> str:
    """A path relative to the working folder where it lies below it."""
    try:
        return str(Path(os.path.realpath(path)).relative_to(Path.cwd()))  # resolve() fails at a link to itself
    except ValueError:
        return str(path)
