"""Where Market-1501 lies on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from reid.errors import UserError

MARKET_FOLDERS = ("bounding_box_train", "query", "bounding_box_test")
"""The three folders of the official archive that are read."""

CANDIDATES = (
    ".",
    "Market-1501-v15.09.15",
    "Market-1501",
    "market-1501",
    "Market1501",
    "market1501",
    "market1501/Market-1501-v15.09.15",
)
"""Where below a given folder the three folders are looked for: itself, the archive's own name, and the names
that ReID toolboxes use (torchreid unpacks into the last one)."""

DATA_VARIABLE = "REID_DATA"
"""Environment variable that names the folder with the data sets."""


def find_market1501(given: Path | None, root: Path) -> Path | None:
    """The folder that holds ``bounding_box_train``, ``query`` and ``bounding_box_test``, or None.

    Looked at: ``given`` if it is not None, else the folder ``$REID_DATA`` if that is set, else ``root /
        "data"``; in
    each of them every entry of ``CANDIDATES``. A folder with all three is preferred; one with only some of
    them is returned all the same, so that the reader can say what is missing. Archives are not extracted.

    Raises:
        UserError: ``given`` or ``$REID_DATA`` does not exist, or ``given`` holds nothing of Market-1501.
    """
    if given is not None:
        if not given.is_dir():
            raise UserError(f"data folder {given} does not exist; give the folder that holds Market-1501")
        found = market_folder(given)
        if found is None:
            raise UserError(
                f"data folder {given} holds no Market-1501; give the folder with {', '.join(MARKET_FOLDERS)}"
            )
        return found
    variable = os.environ.get(DATA_VARIABLE)
    if variable and not Path(variable).is_dir():
        raise UserError(f"${DATA_VARIABLE} is {variable}, which is no folder; set it to the folder with the data sets")
    return market_folder(Path(variable) if variable else root / "data")


def market_folder(folder: Path) -> Path | None:
    """The first of ``CANDIDATES`` below ``folder`` with most of the three folders, or None without any."""
    best = max((folder / name for name in CANDIDATES), key=_parts)
    return best if _parts(best) else None


def _parts(folder: Path) -> int:
    return sum((folder / part).is_dir() for part in MARKET_FOLDERS)
