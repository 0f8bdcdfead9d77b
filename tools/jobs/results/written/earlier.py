"""Files that an earlier call published into a folder, according to its ``results.json``: only those may be removed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from reid.errors import UserError
from reid.files import expecting, read_mapping
from tools.jobs.paths import shown

RESULTS = "results.json"

FILES = "files"
"""The key in ``results.json`` for the files written beside it, as paths relative to its folder."""

CURE = "remove it: what it was published with then stays where it is"


def files_before(folder: Path, plan: str) -> set[str]:
    """The files that the plan called ``plan`` published into ``folder``, without ``results.json`` itself. If an earlier
    version wrote ``results.json``, it lists only the logs of rows.

    Raises:
        UserError: another plan published there, or ``results.json`` is damaged.
    """
    path = folder / RESULTS
    if not path.exists():
        return set()
    told = read_mapping(path, CURE)
    with expecting(path, CURE):
        own, logs = told["plan"], [str(seed["log"]) for row in told["rows"] for seed in row["seeds"]]
        files = {str(name) for name in told.get(FILES, logs)}
        if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in files):
            raise ValueError("a path leads out of the folder")
    if own != plan:
        raise UserError(f"--publish {shown(folder)}: contains what plan {own} has published; give another folder")
    return files


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Removes these files below ``folder``, and folders that are empty afterwards."""
    for name in names:
        path = folder / name
        if path.is_file():
            path.unlink()
        if path.parent != folder and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
