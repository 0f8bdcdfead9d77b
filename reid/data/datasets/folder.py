"""Reader of any folder with one folder for each identity, or with file names that state identity and camera."""

from __future__ import annotations

import os
import re
from pathlib import Path

from reid.data.datasets.listing import composed, entry_names, image_paths
from reid.data.datasets.own import PARTS, OwnImage, own_dataset
from reid.data.locate import no_folder
from reid.data.records import Dataset
from reid.errors import UserError

GROUPS = ("pid", "camid")

OTHER_PARTS = ("test", "val", "valid", "validation")
"""Names that other data sets give to parts, which are not parts here."""


def read_folder(root: Path, pattern: str | None = None, test_share: float = 0.5, seed: int = 0) -> Dataset:
    """``root/{train,query,gallery}/<identity>/*.jpg``, or ``root/<identity>/*.jpg`` with identities drawn for the test.

    Of the three parts, ``train`` alone or ``query`` with ``gallery`` suffices. Images may lie deeper below their
    identity's folder. Names that differ only in the encoding of accents (Unicode's NFC and NFD) are the same.

    Args:
        pattern: regular expression that is searched in each path below ``root`` or the part's folder (with ``/``);
            its group ``(?P<camid>...)`` is the camera, its group ``(?P<pid>...)`` the identity in place of the
            folder's name. Without ``camid`` there are no cameras.
        test_share: share of the identities that are tested, where the parts are not given.
        seed: of the draw of those identities.

    Raises:
        UserError: no folder or no images there, a folder that cannot be read or is named like another data set's part
            (``Train``; ``test`` beside ``train``), a pattern that is not a regular expression or does not match some
            image's path, an image outside the identities' folders, or as ``own_dataset`` says.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"data folder {root} {no_folder(root)}; give the folder that contains the identities' folders")
    expression = _compile(pattern)
    parts = _parts(root) or [None]
    images = [
        _describe(root / (part or "."), path, part, expression)
        for part in parts
        for path in image_paths(root / (part or "."))
    ]
    return own_dataset(root.resolve().name, images, test_share, seed)


def _parts(root: Path) -> list[str]:
    """The parts that exist, of the three. Raises UserError for a folder that seems to be a part under another name: it
    would be ignored, or be taken for a person."""
    parts = [part for part in PARTS if (root / part).is_dir()]
    for name in entry_names(root):
        small = name.casefold()
        part = root / small  # on a case-insensitive file system this is the same folder, and is read
        misspelt = small in PARTS and name not in PARTS and not (part.is_dir() and part.samefile(root / name))
        if (misspelt or (parts and small in OTHER_PARTS)) and (root / name).is_dir():
            raise UserError(
                f"folder {root / name} is not a part of a data set (parts are {', '.join(PARTS)}); rename it, or move "
                "it away"
            )
    return parts


def _compile(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        expression = re.compile(composed(pattern))
    except re.error as error:
        raise UserError(f"pattern '{pattern}' is not a valid regular expression ({error}); correct it") from None
    if not expression.groupindex or set(expression.groupindex) - set(GROUPS):
        raise UserError(f"pattern '{pattern}' must have the group (?P<camid>...), (?P<pid>...) or both, and no others")
    return expression


def _describe(folder: Path, path: str, part: str | None, expression: re.Pattern[str] | None) -> OwnImage:
    name = composed(path)
    found = expression.search(name) if expression else None
    where = f"image {folder / path}"
    labels = found.groupdict() if found else {}
    if expression and (found is None or None in labels.values()):
        raise UserError(f"{where} does not match the pattern '{expression.pattern}'; correct the pattern or remove it")
    if "pid" not in labels and "/" not in path:
        raise UserError(
            f"{where} is not in an identity's folder; move it into one, or give a pattern with (?P<pid>...)"
        )
    identity = labels.get("pid", name.split("/")[0])
    return OwnImage(os.path.join(os.path.abspath(folder), path), identity, labels.get("camid"), part, where)
