"""Files that an earlier call published into a folder, by its ``results.json``, so that no others are removed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from reid.errors import UserError
from reid.files import expecting, read_mapping
from tools.jobs.paths import shown

RESULTS = "results.json"

FILES = "files"
"""Its key for what was written beside it, as paths from its folder."""

CURE = "remove it: what it was published with then stays where it is"


def files_before(folder: Path, plan: str) -> set[str]:
    """What the plan called ``plan`` has published into ``folder``, but for ``results.json`` itself; an earlier
    version's says the logs of rows alone.

    Raises:
        UserError: another plan has, or ``results.json`` is damaged.
    """
    path = folder / RESULTS
    if not path.exists():
        return set()
    told = read_mapping(path, CURE)
    with expecting(path, CURE):
        own, logs = told["plan"], [str(seed["log"]) for row in told["rows"] for seed in row["seeds"]]
        files = {str(name) for name in told.get(FILES, logs)}
        if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in files):
            raise ValueError("a path that leads elsewhere")
    if own != plan:
        raise UserError(f"--publish {shown(folder)}: holds what plan {own} has published; give another folder")
    return files


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Removes the files of these names below ``folder``, and a folder that none is left in."""
    for name in names:
        path = folder / name
        if path.is_file():
            path.unlink()
        if path.parent != folder and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
