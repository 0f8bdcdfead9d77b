"""Reader of CUHK03 (Li et al., "DeepReID: Deep Filter Pairing Neural Network for Person Re-identification", CVPR 2014)
by both of its protocols, with boxes that a detector found or that were labeled by hand.

* The new protocol (CUHK03-NP; Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR
  2017): 767 persons to train on, 700 to test, scored as Market-1501.
* The classic one: 20 splits with 100 test persons each, scored with a single gallery image per person; torchreid's
  ``cuhk03_classic_split`` with ``use_metric_cuhk03``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from reid.data.datasets.counts import Counts, require_counts
from reid.data.datasets.cuhk03_release import RELEASE, classic_test_sets, image_folder, needed, parse_image_name
from reid.data.datasets.listing import image_names
from reid.data.datasets.market1501 import FOLDERS, read_market_layout
from reid.data.locate import Place
from reid.data.records import Dataset, ImageRecord
from reid.errors import UserError

Kind = Literal["detected", "labeled"]

CLASSIC_SPLITS = 20

NEW_COUNTS: dict[Kind, dict[str, Counts]] = {
    "detected": {"train": Counts(7365, 767), "query": Counts(1400, 700), "gallery": Counts(5332, 700)},
    "labeled": {"train": Counts(7368, 767), "query": Counts(1400, 700), "gallery": Counts(5328, 700)},
}

CLASSIC_IMAGES: dict[Kind, int] = {"detected": 14097, "labeled": 14096}
"""Images of a split's training and test persons together; the number of each differs from split to split."""

CLASSIC_TRAIN_IDENTITIES = 1367
"""The paper trains and validates on 1,260 of three camera pairs; torchreid and others on all five pairs."""

CLASSIC_TEST_IDENTITIES = 100


def new_protocol_place(kind: Kind) -> Place:
    """How the new protocol is recognised: by its own folders, or by the original archive and the protocol's file."""
    return Place(
        title=f"CUHK03-NP ({kind})",
        folders=(".", "CUHK03-NP", "cuhk03-np", "cuhk03_np", "cuhk03", "CUHK03"),
        parts=(*(f"{kind}/{name}" for name in FOLDERS), _config_name(kind), RELEASE),
        advice=f"extract the archive with {kind}/bounding_box_train there as CUHK03-NP, or cuhk03_release.zip as "
        f"cuhk03/{RELEASE} with {_config_name(kind)} in cuhk03",
    )


def classic_place() -> Place:
    return Place(
        title="CUHK03",
        folders=(".", "cuhk03", "CUHK03"),
        parts=(RELEASE,),
        advice=f"extract cuhk03_release.zip there as cuhk03/{RELEASE}",
    )


def read_cuhk03_new(root: Path, kind: Kind, cache_dir: Path, check_counts: bool = True) -> Dataset:
    """The new protocol, from either of two layouts:

    * ``root/<kind>`` with Market-1501's three folders (names like ``0001_c1_1.png``), as the protocol's authors give
      the extracted images;
    * ``root/cuhk03_release/cuhk-03.mat`` with the authors' ``cuhk03_new_protocol_config_<kind>.mat``. Images are
      extracted into ``cache_dir`` once; identity numbers are 1000 times the camera pair plus the person.

    Cameras are 1 and 2: the two views of a person, whichever of the five camera pairs they are of.

    Raises:
        UserError: files are missing or unreadable, or the counts differ.
    """
    root = Path(root)
    name, title = f"cuhk03-np-{kind}", f"CUHK03-NP ({kind})"
    expected = NEW_COUNTS[kind] if check_counts else {}
    if any((root / kind / folder).is_dir() for folder in FOLDERS):
        counts = dict(zip(FOLDERS, expected.values(), strict=False))
        return read_market_layout(root / kind, name, title, counts)
    config = _read_config(root / _config_name(kind))
    folder = image_folder(root, kind, cache_dir)
    files = [str(np.asarray(entry).item()) for entry in config["filelist"].reshape(-1)]
    parts = {part: _at(config, f"{part}_idx", files, folder) for part in ("train", "query", "gallery")}
    require_counts(title, root, parts, expected)
    return Dataset(name, **parts)


def read_cuhk03_classic(root: Path, kind: Kind, split: int, cache_dir: Path, check_counts: bool = True) -> Dataset:
    """One of the 20 classic splits, 0 to 19, from ``root/cuhk03_release/cuhk-03.mat``.

    All images of the 100 test persons are both queries and gallery, as in torchreid: a query's own image is
    ignored for its camera, and the metric draws one of the others for each person
    (``Dataset.single_gallery_shot``). Published figures are means over the splits. Identities and cameras as in the
    new protocol.

    Raises:
        UserError: files are missing or unreadable, or the counts differ.
    """
    root = Path(root)
    sets = classic_test_sets(root)
    if not 0 <= split < len(sets):
        raise UserError(f"CUHK03 has no split {split}; give one from 0 to {len(sets) - 1}")
    folder = image_folder(root, kind, cache_dir)
    every = _records(image_names(folder), folder)
    test_pids = {_pid(person) for person in sets[split]}
    train = tuple(record for record in every if record.pid not in test_pids)
    test = tuple(record for record in every if record.pid in test_pids)
    if check_counts:
        total = CLASSIC_TRAIN_IDENTITIES + CLASSIC_TEST_IDENTITIES
        expected = {"images": Counts(CLASSIC_IMAGES[kind], total), "test": Counts(len(test), CLASSIC_TEST_IDENTITIES)}
        require_counts(f"CUHK03 ({kind})", root, {"images": every, "test": test}, expected)
    name = f"cuhk03-classic-{kind}-split{split:02d}"
    return Dataset(name, train=train, query=test, gallery=test, single_gallery_shot=True)


def _config_name(kind: Kind) -> str:
    return f"cuhk03_new_protocol_config_{kind}.mat"


def _read_config(path: Path) -> dict[str, np.ndarray]:
    """``filelist`` (N names) and ``train_idx``, ``query_idx``, ``gallery_idx`` (places in it, from 1)."""
    loadmat = needed("scipy.io", path.name).loadmat
    if not path.is_file():
        raise UserError(
            f"{path} is missing; download it from github.com/zhunzhong07/person-re-ranking, evaluation/data/CUHK03"
        )
    try:
        config = loadmat(path)
    except Exception:  # scipy raises errors of many kinds for broken files
        raise UserError(f"{path} is not a MATLAB file, or is cut off; download it again") from None
    for key in ("filelist", "train_idx", "query_idx", "gallery_idx"):
        if key not in config:
            raise UserError(f"{path} contains no '{key}', so it is not CUHK03's new protocol; download it again")
    return config


def _at(config: dict[str, np.ndarray], key: str, files: list[str], folder: Path) -> tuple[ImageRecord, ...]:
    places = config[key].reshape(-1).astype(int) - 1
    if places.min(initial=0) < 0 or places.max(initial=0) >= len(files):
        raise UserError(f"CUHK03's protocol has images 1 to {len(files)}, but {key} names others; download it again")
    return _records((files[place] for place in places), folder)


def _records(names: Iterable[str], folder: Path) -> tuple[ImageRecord, ...]:
    absolute = os.path.abspath(folder)
    present = set(os.listdir(folder))
    records = []
    for name in names:
        labels = parse_image_name(name)
        if labels is None:
            raise UserError(f"image {folder / name} is not named like 1_001_1_01.png; rename or remove it")
        if name not in present:
            raise UserError(
                f"image {folder / name} does not exist; remove the folder {folder}, which is then extracted again"
            )
        records.append(ImageRecord(os.path.join(absolute, name), _pid(labels[0]), labels[1]))
    return tuple(records)


def _pid(person: tuple[int, int]) -> int:
    return 1000 * person[0] + person[1]
