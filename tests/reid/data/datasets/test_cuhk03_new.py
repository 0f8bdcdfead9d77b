from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from reid.data.datasets import cuhk03, market1501
from reid.data.datasets.counts import Counts
from reid.data.datasets.cuhk03 import NEW_COUNTS, read_cuhk03_new
from reid.errors import UserError

FILES = ("1_001_1_01.png", "1_001_2_07.png", "2_014_1_01.png", "2_014_1_02.png", "2_014_2_06.png", "5_003_1_03.png")
PROTOCOL = {"train": [6, 1, 2], "query": [3, 5], "gallery": [4]}
"""Places in ``FILES``, from 1."""


@pytest.fixture
def root(tmp_path: Path, make_images) -> Path:
    """As torchreid leaves it: images extracted, the protocol's file beside them."""
    make_images(tmp_path / "images_detected", *FILES)
    save_config(tmp_path, PROTOCOL)
    return tmp_path


def save_config(root: Path, protocol: dict[str, list[int]], files=FILES) -> None:
    """Shaped like the official file: a column of cells and columns of numbers."""
    names = np.empty((len(files), 1), dtype=object)
    names[:, 0] = files
    places = {f"{part}_idx": np.array(index, dtype=np.uint16)[:, None] for part, index in protocol.items()}
    savemat(root / "cuhk03_new_protocol_config_detected.mat", {"filelist": names, **places})


def read(root: Path, check_counts: bool = False):
    return read_cuhk03_new(root, "detected", root / "cache", check_counts)


def labels(records) -> list[tuple[str, int, int]]:
    return [(Path(record.path).name, record.pid, record.camid) for record in records]


def test_parts_of_the_protocol_file(root):
    data = read(root)
    assert data.name == "cuhk03-np-detected" and data.has_cameras and not data.single_gallery_shot
    train = [("5_003_1_03.png", 5003, 1), ("1_001_1_01.png", 1001, 1), ("1_001_2_07.png", 1001, 2)]
    assert labels(data.train) == train
    assert labels(data.query) == [("2_014_1_01.png", 2014, 1), ("2_014_2_06.png", 2014, 2)]
    assert labels(data.gallery) == [("2_014_1_02.png", 2014, 1)]
    assert all(Path(record.path).is_file() for record in data.train + data.query + data.gallery)
    assert not (root / "cache").exists()


def test_counts(root, monkeypatch):
    with pytest.raises(UserError, match=r"CUHK03-NP \(detected\).*query: found 2 images, 1 identities, expected 1400"):
        read(root, check_counts=True)
    small = {"train": Counts(3, 2), "query": Counts(2, 1), "gallery": Counts(1, 1)}
    monkeypatch.setitem(cuhk03.NEW_COUNTS, "detected", small)
    assert len(read(root, check_counts=True).train) == 3


def test_protocol_file_missing_broken_or_another(root):
    config = root / "cuhk03_new_protocol_config_detected.mat"
    config.write_bytes(config.read_bytes()[:200])
    with pytest.raises(UserError, match="is not a MATLAB file, or is cut off"):
        read(root)
    savemat(config, {"filelist": 1})
    with pytest.raises(UserError, match="contains no 'train_idx'"):
        read(root)
    config.unlink()
    with pytest.raises(UserError, match="config_detected.mat is missing"):
        read(root)


def test_protocol_that_names_other_images(root):
    (root / "images_detected" / FILES[2]).unlink()
    with pytest.raises(UserError, match=f"{FILES[2]} does not exist"):
        read(root)
    save_config(root, PROTOCOL | {"train": [1], "query": [2], "gallery": [7]})
    with pytest.raises(UserError, match="images 1 to 6, but gallery_idx names others"):
        read(root)
    save_config(root, PROTOCOL, files=("person.png", *FILES[1:]))
    with pytest.raises(UserError, match="person.png is not named like"):
        read(root)


def test_no_images_and_no_archive(root):
    shutil.rmtree(root / "images_detected")
    with pytest.raises(UserError, match="cuhk-03.mat is missing; extract cuhk03_release.zip"):
        read(root)


@pytest.mark.parametrize("kind", ["detected", "labeled"])
def test_extracted_folders_of_full_size(tmp_path, monkeypatch, kind):
    """Names like those of the authors' images, in the official numbers."""
    names: dict[str, list[str]] = {}
    monkeypatch.setattr(market1501, "image_names", lambda folder: names[folder.name])
    first = 1
    for folder, (images, identities) in zip(
        ("bounding_box_train", "query", "bounding_box_test"),
        [(counts.images, counts.identities) for counts in NEW_COUNTS[kind].values()],
        strict=True,
    ):
        (tmp_path / kind / folder).mkdir(parents=True)
        names[folder] = [f"{first + n % identities:04d}_c{n % 2 + 1}_{n}.png" for n in range(images)]
        first = 768
    data = read_cuhk03_new(tmp_path, kind, tmp_path / "cache")
    assert data.name == f"cuhk03-np-{kind}"
    assert {record.camid for record in data.gallery} == {1, 2}
    assert {record.pid for record in data.train} == set(range(1, 768))
    names["bounding_box_test"].pop()
    with pytest.raises(UserError, match="CUHK03-NP .*bounding_box_test: found 53"):
        read_cuhk03_new(tmp_path, kind, tmp_path / "cache")
    shutil.rmtree(tmp_path / kind / "query")
    with pytest.raises(UserError, match="query is missing; extract the whole CUHK03-NP"):
        read_cuhk03_new(tmp_path, kind, tmp_path / "cache")
