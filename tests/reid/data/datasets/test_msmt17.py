from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reid.data.datasets import msmt17
from reid.data.datasets.counts import Counts
from reid.data.datasets.msmt17 import LISTS, read_msmt17
from reid.errors import UserError

TRAIN = ["0000/0000_000_01_0303morning_0008_0.jpg 0", "0001/0001_003_15_0114noon_0164_1_ex.jpg 1"]
VALIDATION = ["0000/0000_001_12_0303morning_0009_2.jpg 0"]
QUERY = ["0000/0000_000_01_0303morning_0015_0.jpg 0"]
GALLERY = ["0000/0000_001_05_0302afternoon_0001_0.jpg 0", "0007/0007_000_04_0302noon_0001_0.jpg 7"]
LINES = dict(zip(LISTS, (TRAIN, VALIDATION, QUERY, GALLERY), strict=True))


@pytest.fixture(params=["v1", "v2"])
def root(request, tmp_path: Path, make_images) -> Path:
    train, test = msmt17.FOLDERS[request.param]
    for name, lines in LINES.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        make_images(tmp_path / (train if name in LISTS[:2] else test), *(line.split()[0] for line in lines))
    return tmp_path


def labels(records) -> list[tuple[str, int, int]]:
    return [(Path(record.path).name[:11], record.pid, record.camid) for record in records]


def test_labels_of_both_versions(root):
    data = read_msmt17(root, check_counts=False)
    assert data.name == ("msmt17-v2" if (root / "mask_train_v2").exists() else "msmt17-v1")
    assert labels(data.train) == [("0000_000_01", 1, 1), ("0001_003_15", 2, 15), ("0000_001_12", 1, 12)]
    # Test persons 0 and 7 are others than training persons 0 and 1, and no distractors.
    assert labels(data.query) == [("0000_000_01", 3, 1)]
    assert labels(data.gallery) == [("0000_001_05", 3, 5), ("0007_000_04", 10, 4)]
    assert all(Path(record.path).is_file() for record in data.train + data.query + data.gallery)


def test_without_validation_images(root):
    data = read_msmt17(root, validation=False, check_counts=False)
    assert labels(data.train) == [("0000_000_01", 1, 1), ("0001_003_15", 2, 15)]
    assert labels(data.query) == [("0000_000_01", 3, 1)]


def test_counts_with_and_without_validation(root, monkeypatch):
    with pytest.raises(UserError, match="train: found 3 images, 2 identities, expected 32621 images, 1041 identities"):
        read_msmt17(root)
    with pytest.raises(UserError, match="train: found 2 images, 2 identities, expected 30248 images, 1041 identities"):
        read_msmt17(root, validation=False)
    small = {"train": Counts(3, 2), "query": Counts(1, 1), "gallery": Counts(2, 2)}
    monkeypatch.setattr(msmt17, "OFFICIAL_COUNTS", small)
    assert len(read_msmt17(root).train) == 3


@pytest.mark.parametrize("name", LISTS)
def test_missing_and_empty_list(root, name):
    (root / name).write_text("\n")
    with pytest.raises(UserError, match=f"{name} lists no image"):
        read_msmt17(root, check_counts=False)
    (root / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        read_msmt17(root, check_counts=False)


BAD_LINES = ("0000/0000_000_01_0303morning_0015_0.jpg", "0000/0000_000_x1_0303morning_0015_0.jpg 0", "a.jpg 0", "\x00")


@pytest.mark.parametrize("line", BAD_LINES)
def test_bad_line_is_named(root, line):
    (root / "list_gallery.txt").write_text(f"{GALLERY[0]}\n{line}\n")
    with pytest.raises(UserError, match="list_gallery.txt, line 2: .*is not like"):
        read_msmt17(root, check_counts=False)


def test_listed_image_that_is_not_there(root):
    (root / "list_query.txt").write_text(f"{QUERY[0]}\n{GALLERY[0].split()[0]}x 3\n")
    with pytest.raises(UserError, match="list_query.txt, line 2: .*jpgx does not exist"):
        read_msmt17(root, check_counts=False)


def test_missing_image_folders(root):
    version = "v2" if (root / "mask_train_v2").exists() else "v1"
    train, test = msmt17.FOLDERS[version]
    shutil.rmtree(root / test)
    with pytest.raises(UserError, match=f"{test} is missing"):
        read_msmt17(root, check_counts=False)
    shutil.rmtree(root / train)
    with pytest.raises(UserError, match="it has neither mask_train_v2 nor train"):
        read_msmt17(root, check_counts=False)
