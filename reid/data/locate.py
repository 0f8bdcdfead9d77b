"""Where data sets lie on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from reid.errors import UserError

DATA_VARIABLE = "REID_DATA"
"""Environment variable that names the folder with the data sets."""


@dataclass(frozen=True)
class Place:
    """How a data set's folder is recognised.

    Attributes:
        title: what people call the data set.
        folders: names below the folder with the data sets: ``"."`` for that folder itself, the archive's own name, and
            the names that ReID toolboxes use.
        parts: files or folders below the data set's folder, by which it is recognised.
        advice: how to put it there, for the message where it is missing.
    """

    title: str
    folders: tuple[str, ...]
    parts: tuple[str, ...]
    advice: str


def locate(place: Place, given: Path | None, root: Path) -> Path | None:
    """The folder of a data set, or None where there is none and none was ``given``.

    It looks in ``given`` if that is not None, else in the folder ``$REID_DATA`` if that is set, else in
    ``root / "data"``, for every entry of ``place.folders``. The entry with most of ``place.parts`` is taken, even if it
    has only some of them, so that the reader can say what is missing. Archives are not extracted.

    Raises:
        UserError: ``given`` or ``$REID_DATA`` is not a folder, or ``given`` holds nothing of the data set.
    """
    if given is not None:
        if not given.is_dir():
            raise UserError(f"data folder {given} {no_folder(given)}; give the folder that contains {place.title}")
        found = folder_below(place, given)
        if found is None:
            raise UserError(f"data folder {given} contains no {place.title}; {place.advice}")
        return found
    return folder_below(place, data_folder(root))


def no_folder(path: Path) -> str:
    """What is wrong, in words, with a path that is not a folder: it may be an archive that must be extracted first."""
    return "is a file, not a folder" if path.exists() else "does not exist"


def locate_or_fail(place: Place, given: Path | None, root: Path) -> Path:
    """``locate``, but raises UserError if the data set is found nowhere; the message says where it was looked for."""
    found = locate(place, given, root)
    if found is None:
        where = data_folder(root)
        raise UserError(
            f"no {place.title} under {where}; {place.advice}, or name another folder with --data or ${DATA_VARIABLE}"
        )
    return found


def data_folder(root: Path) -> Path:
    """The folder with the data sets: ``$REID_DATA`` if that is set, else ``root / "data"``.

    Raises:
        UserError: ``$REID_DATA`` is not a folder.
    """
    variable = os.environ.get(DATA_VARIABLE)
    if variable and not Path(variable).is_dir():
        raise UserError(
            f"${DATA_VARIABLE} is {variable}, which is not a folder; set it to the folder with the data sets"
        )
    return Path(variable) if variable else root / "data"


def folder_below(place: Place, folder: Path) -> Path | None:
    """The first of ``place.folders`` below ``folder`` with most of ``place.parts``, or None without any."""

    def parts(name: str) -> int:
        return sum((folder / name / part).exists() for part in place.parts)

    best = max(place.folders, key=parts)
    return folder / best if parts(best) else None
