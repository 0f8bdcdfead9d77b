"""The original archive, in miniature: HDF5 as MATLAB writes it, arrays transposed and cells by reference."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid.data.datasets import cuhk03
from reid.data.datasets.cuhk03 import read_cuhk03_classic
from reid.data.datasets.cuhk03_release import RELEASE, classic_test_sets, image_folder, image_name, parse_image_name
from reid.errors import UserError

h5py = pytest.importorskip("h5py", reason="h5py, which reads cuhk-03.mat, is not installed")

PERSONS = (3, 2, 1, 1, 1)
"""Of the five camera pairs."""

TEST_SETS = (((1, 2), (2, 1)), ((1, 1), (1, 3)))

Pixels = dict[str, np.ndarray]


def pictures(kind: str) -> Pixels:
    """What the archive holds: each person's images by file name, of other sizes and some places empty."""
    rng = np.random.default_rng(["detected", "labeled"].index(kind))
    held: Pixels = {}
    for pair, persons in enumerate(PERSONS, start=1):
        for person in range(1, persons + 1):
            for index in (1, 2, 5, 6, 10) if kind == "detected" else (1, 6, 7):
                size = (int(rng.integers(5, 9)), int(rng.integers(3, 5)), 3)
                held[image_name((pair, person), index)] = rng.integers(0, 256, size, dtype=np.uint8)
    return held


def write_archive(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        cells = file.create_group("#refs#")

        def cell(value: np.ndarray):
            return cells.create_dataset(str(len(cells)), data=value).ref

        def references(rows: list[list]) -> np.ndarray:
            return np.array(rows, dtype=h5py.ref_dtype)

        empty = np.zeros(2, dtype=np.uint64)  # how MATLAB stores []
        for kind in ("detected", "labeled"):
            held = pictures(kind)
            pairs = []
            for pair, persons in enumerate(PERSONS, start=1):
                rows = [
                    [
                        cell(held[name].T if name in held else empty)
                        for name in (image_name((pair, person), index) for person in range(1, persons + 1))
                    ]
                    for index in range(1, 11)
                ]
                pairs.append(cell(references(rows)))
            file.create_dataset(kind, data=references([pairs]))
        sets = [cell(np.array(persons, dtype=np.float64).T) for persons in TEST_SETS]
        file.create_dataset("testsets", data=references([sets]))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_archive(tmp_path / "cuhk03" / RELEASE)
    return tmp_path / "cuhk03"


@pytest.mark.parametrize("kind", ["detected", "labeled"])
def test_images_are_extracted_pixel_by_pixel(root, tmp_path, kind):
    folder = image_folder(root, kind, tmp_path / "cache", progress=False)
    held = pictures(kind)
    assert {path.name for path in folder.iterdir()} == set(held)
    for name, expected in held.items():
        with Image.open(folder / name) as image:
            assert np.array_equal(np.asarray(image), expected)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert image_folder(root, kind, tmp_path / "cache") == folder
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_interrupted_extraction_leaves_nothing(root, tmp_path, monkeypatch):
    real, calls = Image.Image.save, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 7:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(Image.Image, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        image_folder(root, "detected", tmp_path / "cache", progress=False)
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.undo()
    assert len(list(image_folder(root, "detected", tmp_path / "cache", progress=False).iterdir())) == 40


def test_images_of_another_archive_are_not_taken(root, tmp_path):
    first = image_folder(root, "labeled", tmp_path / "cache", progress=False)
    archive = root / RELEASE
    archive.write_bytes(archive.read_bytes() + b" ")
    assert image_folder(root, "labeled", tmp_path / "cache", progress=False) != first


def test_folder_of_torchreid_is_taken(root, tmp_path):
    (root / "images_labeled").mkdir()
    assert image_folder(root, "labeled", tmp_path / "cache") == root / "images_labeled"
    assert not (tmp_path / "cache").exists()


def test_test_sets(root):
    assert classic_test_sets(root) == [frozenset(persons) for persons in TEST_SETS]


@pytest.mark.parametrize("split", [0, 1])
def test_classic_split(root, tmp_path, split):
    data = read_cuhk03_classic(root, "detected", split, tmp_path / "cache", check_counts=False)
    assert data.name == f"cuhk03-classic-detected-split0{split}"
    assert data.single_gallery_shot and data.query == data.gallery
    tested = {1000 * pair + person for pair, person in TEST_SETS[split]}
    everybody = {1000 * pair + p for pair, persons in enumerate(PERSONS, start=1) for p in range(1, persons + 1)}
    assert {record.pid for record in data.query} == tested
    assert {record.pid for record in data.train} == everybody - tested
    names = [Path(record.path).name for record in data.train + data.query]
    assert sorted(names) == sorted(pictures("detected"))
    for record in data.query:
        assert record.camid == (1 if int(Path(record.path).stem[-2:]) <= 5 else 2)


def test_classic_counts_and_split_number(root, tmp_path, monkeypatch):
    with pytest.raises(
        UserError, match="images: found 40 images, 8 identities, expected 14097 images, 1467 identities"
    ):
        read_cuhk03_classic(root, "detected", 0, tmp_path / "cache")
    monkeypatch.setitem(cuhk03.CLASSIC_IMAGES, "detected", 40)
    monkeypatch.setattr(cuhk03, "CLASSIC_TRAIN_IDENTITIES", 6)
    monkeypatch.setattr(cuhk03, "CLASSIC_TEST_IDENTITIES", 2)
    assert len(read_cuhk03_classic(root, "detected", 1, tmp_path / "cache").query) == 10
    monkeypatch.setattr(cuhk03, "CLASSIC_TEST_IDENTITIES", 3)
    monkeypatch.setattr(cuhk03, "CLASSIC_TRAIN_IDENTITIES", 5)
    with pytest.raises(UserError, match="test: found 10 images, 2 identities, expected 10 images, 3 identities"):
        read_cuhk03_classic(root, "detected", 1, tmp_path / "cache")
    with pytest.raises(UserError, match="no split 2; give one from 0 to 1"):
        read_cuhk03_classic(root, "detected", 2, tmp_path / "cache", check_counts=False)


def test_archive_that_is_broken_or_another(root, tmp_path):
    archive = root / RELEASE
    with h5py.File(archive, "a") as file:
        del file["testsets"]
    with pytest.raises(UserError, match="contains no 'testsets'"):
        classic_test_sets(root)
    archive.write_bytes(b"no archive")
    with pytest.raises(UserError, match="is not an HDF5 file, or is cut off"):
        image_folder(root, "labeled", tmp_path / "cache")
    archive.unlink()
    with pytest.raises(UserError, match="cuhk-03.mat is missing"):
        classic_test_sets(root)


def test_missing_h5py_is_named(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match="cuhk-03.mat needs h5py, which is not installed: pip install h5py"):
        classic_test_sets(root)


@pytest.mark.parametrize("person", [(1, 1), (1, 843), (5, 49)])
def test_names_parse_back(person):
    for index in range(1, 11):
        assert parse_image_name(image_name(person, index)) == (person, 1 if index <= 5 else 2)
    assert image_name((1, 7), 6) == "1_007_2_06.png"
