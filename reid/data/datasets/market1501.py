"""Reader of Market-1501 (Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015), and of any other
data set in its file layout."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from reid.data.datasets.counts import Counts, require_counts
from reid.data.datasets.listing import image_names
from reid.data.locate import Place, folder_below, locate
from reid.data.records import DISTRACTOR_PID, JUNK_PID, NO_CAMERA, Dataset, ImageRecord
from reid.errors import UserError

FOLDERS = ("bounding_box_train", "query", "bounding_box_test")
"""The three folders that are read: training images, queries, gallery."""

PLACE = Place(
    title="Market-1501",
    folders=(
        ".",
        "Market-1501-v15.09.15",
        "Market-1501",
        "market-1501",
        "Market1501",
        "market1501",
        "market1501/Market-1501-v15.09.15",
    ),
    parts=FOLDERS,
    advice="extract Market-1501-v15.09.15.zip there, or give the folder with " + ", ".join(FOLDERS),
)

OFFICIAL_COUNTS: dict[str, Counts] = {
    "bounding_box_train": Counts(images=12936, identities=751),
    "query": Counts(images=3368, identities=750),
    "bounding_box_test": Counts(images=19732, identities=750, distractors=2798, junk=3819),
}

IMAGE_SIZE = (128, 64)
"""Size of every official image; unknown for a set that is not compared with the official counts."""

# <id>_c<camera>s<sequence>_<frame>_<box>.jpg; 24 names of the official archive end in .jpg.jpg
_NAME = re.compile(r"(-1|\d+)_c(\d+)s\d+_\d+_\d+(?:\.jpg)?\.(?:jpe?g|png)", re.IGNORECASE)
# Related data sets differ in what comes after the camera: 0005_c2_f0046985.jpg, 0001_c1_1.png
_KIN_NAME = re.compile(r"(-1|\d+)_c(\d+)(?:s\d+)?(?:_\w+)*(?:\.jpg)?\.(?:jpe?g|png)", re.IGNORECASE)


def find_market1501(given: Path | None, root: Path) -> Path | None:
    """``reid.data.locate.locate`` for Market-1501."""
    return locate(PLACE, given, root)


def read_market1501(root: Path, check_counts: bool = True) -> Dataset:
    """The official partition below ``root``: the folder with the three folders, or its parent.

    Records are sorted by file name. Junk (``-1``) and distractors (``0000``) are kept in the gallery and left out of
    train and query.

    Args:
        root: the data set's folder, see ``PLACE`` for the names it may have below ``root``.
        check_counts: compare with ``OFFICIAL_COUNTS``; False for another data set with the same file names.

    Raises:
        UserError: a folder is missing or empty, an image's name does not parse, or the counts differ.
    """
    base = folder_below(PLACE, Path(root))
    if base is None:
        raise UserError(f"no Market-1501 at {root}: it has no {', '.join(FOLDERS)}; extract the archive again")
    counts, size = (OFFICIAL_COUNTS, IMAGE_SIZE) if check_counts else ({}, None)
    return _read(base, "market1501", "Market-1501", _NAME, counts, size)


def read_market_layout(root: Path, name: str, title: str, counts: Mapping[str, Counts]) -> Dataset:
    """A data set with Market-1501's three folders and names that begin like its own: ``0005_c2_f0046985.jpg``,
    ``0001_c1_1.png``.

    ``-1`` and ``0000`` have the same meaning as there. Cameras numbered from 0 are renumbered from 1, in all three
    folders: as ``NO_CAMERA``, camera 0 would let a query find its own camera's images.

    Args:
        root: the folder with the three folders.
        name: of the returned data set.
        title: what error messages call it.
        counts: expected numbers for each folder; empty for no check.

    Raises:
        UserError: as ``read_market1501``.
    """
    return _read(Path(root), name, title, _KIN_NAME, counts)


def parse_name(name: str, pattern: re.Pattern[str] = _NAME) -> tuple[int, int] | None:
    """Identity and camera in a file name, or None: ``0002_c1s1_000451_03.jpg`` is person 2 at camera 1."""
    match = pattern.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def _read(
    base: Path,
    name: str,
    title: str,
    pattern: re.Pattern[str],
    counts: Mapping[str, Counts],
    image_size: tuple[int, int] | None = None,
) -> Dataset:
    parts = {folder: _read_folder(base / folder, title, pattern) for folder in FOLDERS}
    require_counts(title, base, parts, counts)
    train, query, gallery = parts.values()
    return _cameras_from_one(Dataset(name, _persons(train), _persons(query), gallery, image_size=image_size))


def _cameras_from_one(data: Dataset) -> Dataset:
    """``data`` unchanged if no person is seen by camera 0; else with every camera's number one greater."""
    parts = {"train": data.train, "query": data.query, "gallery": data.gallery}
    if not any(record.camid == NO_CAMERA for records in parts.values() for record in _persons(records)):
        return data
    moved = {part: tuple(replace(each, camid=each.camid + 1) for each in records) for part, records in parts.items()}
    return replace(data, **moved)


def _persons(records: tuple[ImageRecord, ...]) -> tuple[ImageRecord, ...]:
    return tuple(record for record in records if record.pid not in (JUNK_PID, DISTRACTOR_PID))


def _read_folder(folder: Path, title: str, pattern: re.Pattern[str]) -> tuple[ImageRecord, ...]:
    if not folder.is_dir():
        raise UserError(f"folder {folder} is missing; extract the whole {title} archive again")
    absolute = os.path.abspath(folder)
    records = []
    for name in image_names(folder):
        labels = parse_name(name, pattern)
        if labels is None:
            raise UserError(f"image {folder / name} is not named like 0002_c1s1_000451_03.jpg; rename or remove it")
        records.append(ImageRecord(os.path.join(absolute, name), *labels))
    if not records:
        raise UserError(f"folder {folder} contains no image; extract the whole {title} archive again")
    return tuple(records)
