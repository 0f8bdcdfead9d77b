"""Reader of CUHK01 (Li et al., "Human Reidentification with Transferred Metric Learning", ACCV 2012)."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from reid.data.datasets.counts import Counts, require_counts
from reid.data.datasets.listing import image_names
from reid.data.locate import Place
from reid.data.records import Dataset, ImageRecord
from reid.errors import UserError

PLACE = Place(
    title="CUHK01",
    folders=(".", "cuhk01", "CUHK01"),
    parts=("campus",),
    advice="extract CUHK01.zip there, or give the folder that holds its folder campus",
)

SPLITS = 20
"""Ten draws of the training persons, each with either camera as the query's."""

OFFICIAL_COUNTS: dict[str, Counts] = {
    "train": Counts(images=1940, identities=485),
    "query": Counts(images=972, identities=486),
    "gallery": Counts(images=972, identities=486),
}

# Person and number of the image; the first two images are camera 1's, the last two camera 2's.
_NAME = re.compile(r"(\d{4})(\d{3})\.(?:png|jpe?g)", re.IGNORECASE)


def read_cuhk01(root: Path, split: int = 0, check_counts: bool = True) -> Dataset:
    """One split of the 971 persons in ``root/campus``: 485 to train on, 486 to test, as in torchreid.

    Two images of each test person from one camera are queries, the two from the other camera the gallery. CUHK01 has
    no official list of splits, and torchreid draws its own unseeded on each machine; here the split's number is the
    seed: ``split // 2`` draws the persons, an odd ``split`` makes camera 2 the query's. Published figures are means
    over ten draws.

    Raises:
        UserError: the folder is missing or empty, an image's name does not parse, or the counts differ.
    """
    root = Path(root)
    every = _read_folder(root / "campus")
    pids = sorted({record.pid for record in every})
    # Only uniform numbers and a stable sort: the same draw on every platform.
    order = np.argsort(np.random.default_rng(split // 2).random(len(pids)), kind="stable")
    chosen = {pids[index] for index in order[: len(pids) // 2]}
    query_camera = 1 + split % 2
    test = [record for record in every if record.pid not in chosen]
    parts = {
        "train": tuple(record for record in every if record.pid in chosen),
        "query": tuple(record for record in test if record.camid == query_camera),
        "gallery": tuple(record for record in test if record.camid != query_camera),
    }
    if check_counts:
        require_counts("CUHK01", root, parts, OFFICIAL_COUNTS)
    return Dataset(f"cuhk01-split{split:02d}", **parts)


def _read_folder(folder: Path) -> list[ImageRecord]:
    if not folder.is_dir():
        raise UserError(f"folder {folder} is missing; extract CUHK01.zip again")
    absolute = os.path.abspath(folder)
    records = []
    for name in image_names(folder):
        match = _NAME.fullmatch(name)
        if match is None or not 1 <= int(match[2]) <= 4:
            raise UserError(f"image {folder / name} is not named like 0001001.png; rename or remove it")
        records.append(ImageRecord(os.path.join(absolute, name), int(match[1]), (int(match[2]) + 1) // 2))
    if not records:
        raise UserError(f"folder {folder} contains no image; extract CUHK01.zip again")
    return records
