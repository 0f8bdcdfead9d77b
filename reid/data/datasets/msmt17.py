"""Reader of MSMT17 (Wei et al., "Person Transfer GAN to Bridge Domain Gap for Person Re-Identification", CVPR 2018)."""

from __future__ import annotations

import os
import re
from pathlib import Path

from reid.data.datasets.counts import Counts, require_counts
from reid.data.locate import Place
from reid.data.records import Dataset, ImageRecord
from reid.errors import UserError

LISTS = ("list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt")

FOLDERS = {"v2": ("mask_train_v2", "mask_test_v2"), "v1": ("train", "test")}
"""Image folders of the two versions, for training and test; in V2 faces are blurred. The lists are the same."""

PLACE = Place(
    title="MSMT17",
    folders=(".", "MSMT17_V1", "MSMT17_V2", "MSMT17", "msmt17", "msmt17/MSMT17_V1", "msmt17/MSMT17_V2"),
    parts=LISTS,
    advice="extract MSMT17_V1 or MSMT17_V2 there, or give the folder with " + ", ".join(LISTS),
)

OFFICIAL_COUNTS: dict[str, Counts] = {
    "train": Counts(images=32621, identities=1041),
    "query": Counts(images=11659, identities=3060),
    "gallery": Counts(images=82161, identities=3060),
}
COUNTS_WITHOUT_VALIDATION = {**OFFICIAL_COUNTS, "train": Counts(images=30248, identities=1041)}

# <person>/<person>_<number>_<camera>_<month and day><time of day>_<frame>_<box>.jpg; some end in _ex.jpg
_LINE = re.compile(r"((?:[^\s/]+/)*[^\s/_]+_[^\s/_]+_(\d+)_[^\s/]+) (\d+)")


def read_msmt17(root: Path, validation: bool = True, check_counts: bool = True) -> Dataset:
    """The partition of the four lists in ``root``; V1 or V2, whichever image folders lie there.

    The lists number persons from 0, training and test persons alike. Here training person n is identity n + 1, and
    test persons continue after the last training person: nobody is identity 0, which would be a distractor, and
    different persons have different numbers. There are neither distractors nor junk.

    Args:
        validation: train on the images of ``list_val.txt`` too, other images of the training persons: 32,621, the
            training set of the paper; without them 30,248, torchreid's and fast-reid's default.
        check_counts: compare with the official counts.

    Raises:
        UserError: a list, an image folder or a listed image is missing, a line does not parse, or the counts differ.
    """
    root = Path(root)
    version = next((v for v, names in FOLDERS.items() if any((root / name).is_dir() for name in names)), None)
    if version is None:
        raise UserError(f"MSMT17 at {root}: it has neither mask_train_v2 nor train; extract the archive again")
    train_folder, test_folder = (root / name for name in FOLDERS[version])
    train = _read_list(root / "list_train.txt", train_folder, first=1)
    if validation:
        train += _read_list(root / "list_val.txt", train_folder, first=1)
    beyond = max(record.pid for record in train) + 1
    dataset = Dataset(
        name=f"msmt17-{version}",
        train=train,
        query=_read_list(root / "list_query.txt", test_folder, beyond),
        gallery=_read_list(root / "list_gallery.txt", test_folder, beyond),
    )
    if check_counts:
        parts = {"train": dataset.train, "query": dataset.query, "gallery": dataset.gallery}
        require_counts("MSMT17", root, parts, OFFICIAL_COUNTS if validation else COUNTS_WITHOUT_VALIDATION)
    return dataset


def _read_list(path: Path, folder: Path, first: int) -> tuple[ImageRecord, ...]:
    """Records in the list's order; the list's person 0 gets number ``first``."""
    for needed in (path, folder):
        if not needed.exists():
            raise UserError(f"MSMT17: {needed} is missing; extract the whole archive again")
    absolute = os.path.abspath(folder)
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise UserError(
                f"{path}, line {number}: '{line.strip()}' is not like '0000/0000_000_01_0303morning_0008_0.jpg 0'; "
                "extract the archive again"
            )
        image = os.path.join(absolute, match[1])
        if not os.path.isfile(image):
            raise UserError(f"{path}, line {number}: {folder / match[1]} does not exist; extract the archive again")
        records.append(ImageRecord(image, int(match[3]) + first, int(match[2])))
    if not records:
        raise UserError(f"{path} lists no image; extract the archive again")
    return tuple(records)
