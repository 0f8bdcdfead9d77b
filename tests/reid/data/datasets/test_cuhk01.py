from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reid.data.datasets import cuhk01
from reid.data.datasets.cuhk01 import SPLITS, read_cuhk01
from reid.errors import UserError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Seven persons with four images each."""
    (tmp_path / "campus").mkdir()
    for person in range(1, 8):
        for number in range(1, 5):
            (tmp_path / "campus" / f"{person:04d}{number:03d}.png").touch()
    return tmp_path


def read(root: Path, split: int = 0):
    return read_cuhk01(root, split, check_counts=False)


def test_a_split(root):
    data = read(root)
    train, test = {r.pid for r in data.train}, {r.pid for r in data.query}
    assert len(train) == 3 and len(test) == 4 and not train & test
    assert {r.pid for r in data.gallery} == test and train | test == set(range(1, 8))
    assert (len(data.train), len(data.query), len(data.gallery)) == (12, 8, 8)
    assert data.has_cameras and not data.single_gallery_shot
    for records, camid, numbers in ((data.query, 1, {"001", "002"}), (data.gallery, 2, {"003", "004"})):
        assert {record.camid for record in records} == {camid}
        assert {Path(record.path).stem[4:] for record in records} == numbers


def test_odd_splits_turn_query_and_gallery_round(root):
    for split in range(0, SPLITS, 2):
        even, odd = read(root, split), read(root, split + 1)
        assert (odd.train, odd.query, odd.gallery) == (even.train, even.gallery, even.query)
        assert even.name != odd.name


def test_splits_are_drawn_by_their_number(root):
    draws = [tuple(sorted({r.pid for r in read(root, split).train})) for split in range(0, SPLITS, 2)]
    assert draws == [tuple(sorted({r.pid for r in read(root, split).train})) for split in range(0, SPLITS, 2)]
    # Of 35 possible draws, ten are seldom less than five different ones.
    assert len(set(draws)) >= 5


def test_full_size_set_has_the_official_counts(tmp_path, monkeypatch):
    (tmp_path / "campus").mkdir()
    names = [f"{person:04d}{number:03d}.png" for person in range(1, 972) for number in range(1, 5)]
    monkeypatch.setattr(cuhk01, "image_names", lambda folder: names)
    data = read_cuhk01(tmp_path, split=3)
    assert (len(data.train), len(data.query), len(data.gallery)) == (1940, 972, 972)
    names.pop()
    with pytest.raises(UserError, match="CUHK01 at .* differs"):
        read_cuhk01(tmp_path, split=3)


@pytest.mark.parametrize("name", ["0001005.png", "0001000.png", "1.png", "0001001 (2).png"])
def test_other_names_are_refused(root, name):
    (root / "campus" / name).touch()
    with pytest.raises(UserError, match="is not named like 0001001.png"):
        read(root)


def test_missing_and_empty(root):
    shutil.rmtree(root / "campus")
    with pytest.raises(UserError, match="campus is missing; extract CUHK01.zip"):
        read(root)
    (root / "campus").mkdir()
    with pytest.raises(UserError, match="contains no image"):
        read(root)
