"""Reader of Market-1501 (Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from reid.data.locate import MARKET_FOLDERS, market_folder
from reid.data.records import DISTRACTOR_PID, JUNK_PID, Dataset, ImageRecord
from reid.errors import UserError

# <id>_c<camera>s<sequence>_<frame>_<box>.jpg; 24 names of the official archive end in .jpg.jpg
_NAME = re.compile(r"(-1|\d+)_c(\d+)s\d+_\d+_\d+(?:\.jpg)?\.(?:jpe?g|png)", re.IGNORECASE)
_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}

Counts = dict[str, int]

OFFICIAL_COUNTS: dict[str, Counts] = {
    "bounding_box_train": {"images": 12936, "identities": 751, "distractors": 0, "junk": 0},
    "query": {"images": 3368, "identities": 750, "distractors": 0, "junk": 0},
    "bounding_box_test": {"images": 19732, "identities": 750, "distractors": 2798, "junk": 3819},
}
"""What each folder of the complete data set holds. ``images`` counts all of them; ``identities`` persons."""


def read_market1501(root: Path, check_counts: bool = True) -> Dataset:
    """The official partition below ``root``: the folder with the three folders, or its parent.

    Records are sorted by file name, so their order is the same on every machine. Junk (``-1``) and
    distractors (``0000``) are kept in the gallery and left out of train and query. Files that are no images
    (``Thumbs.db``) and hidden files are ignored.

    Args:
        root: the data set's folder, see ``reid.data.locate.CANDIDATES`` for the names it may have below
            ``root``.
        check_counts: compare with ``OFFICIAL_COUNTS``; False for another data set in the same layout.

    Raises:
        UserError: a folder is missing or empty, an image's name does not parse, or the counts differ.
    """
    base = market_folder(Path(root))
    if base is None:
        raise UserError(f"no Market-1501 at {root}: no {', '.join(MARKET_FOLDERS)} there; extract it again")
    parts = {name: _read_folder(base / name) for name in MARKET_FOLDERS}
    if check_counts:
        for name, records in parts.items():
            _check(base / name, count_records(records), OFFICIAL_COUNTS[name])
    train, query, gallery = parts.values()
    return Dataset(name="market1501", train=_persons(train), query=_persons(query), gallery=gallery)


def count_records(records: Iterable[ImageRecord]) -> Counts:
    """Numbers of ``images``, ``identities`` (persons only), ``distractors`` and ``junk`` images."""
    pids = [record.pid for record in records]
    return {
        "images": len(pids),
        "identities": len(set(pids) - {JUNK_PID, DISTRACTOR_PID}),
        "distractors": pids.count(DISTRACTOR_PID),
        "junk": pids.count(JUNK_PID),
    }


def parse_name(name: str) -> tuple[int, int] | None:
    """Identity and camera in a file name, or None: ``0002_c1s1_000451_03.jpg`` is person 2 at camera 1."""
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def _persons(records: tuple[ImageRecord, ...]) -> tuple[ImageRecord, ...]:
    return tuple(record for record in records if record.pid not in (JUNK_PID, DISTRACTOR_PID))


def _read_folder(folder: Path) -> tuple[ImageRecord, ...]:
    if not folder.is_dir():
        raise UserError(f"folder {folder} is missing; extract the whole Market-1501 archive again")
    absolute = os.path.abspath(folder)
    records = []
    for name in sorted(os.listdir(absolute)):
        if name.startswith(".") or os.path.splitext(name)[1].lower() not in _IMAGE_SUFFIXES:
            continue
        labels = parse_name(name)
        if labels is None:
            raise UserError(f"image {folder / name} is not named like 0002_c1s1_000451_03.jpg; rename or remove it")
        records.append(ImageRecord(os.path.join(absolute, name), *labels))
    if not records:
        raise UserError(f"folder {folder} holds no image; extract the whole Market-1501 archive again")
    return tuple(records)


def _check(folder: Path, found: Counts, expected: Counts) -> None:
    if found != expected:
        raise UserError(
            f"folder {folder} is not the complete Market-1501: found {_words(found)}, "
            f"expected {_words(expected)}; the archive was probably extracted in part: extract it again"
        )


def _words(counts: Counts) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())
