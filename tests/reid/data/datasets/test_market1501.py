from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.data.datasets import market1501
from reid.data.datasets.counts import Counts, count_records
from reid.data.datasets.market1501 import OFFICIAL_COUNTS, parse_name, read_market1501, read_market_layout
from reid.data.records import Dataset, ImageRecord
from reid.errors import UserError

FILES = {
    "bounding_box_train": ["0007_c2s3_070952_01.jpg", "0002_c1s1_000451_03.jpg", "-1_c1s1_000401_03.jpg"],
    "query": ["0001_c1s1_001051_00.jpg", "0000_c1s1_001051_00.jpg"],
    "bounding_box_test": [
        "0001_c6s2_000001_01.jpg.jpg",
        "0000_c3s1_000151_01.jpg",
        "-1_c1s1_000401_03.jpg",
        "0001_c2s1_000301_00.png",
        "Thumbs.db",
        "._0001_c2s1_000301_00.jpg",
    ],
}


@pytest.fixture
def market(tmp_path: Path) -> Path:
    for folder, names in FILES.items():
        (tmp_path / "Market-1501-v15.09.15" / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / "Market-1501-v15.09.15" / folder / name).touch()
    return tmp_path / "Market-1501-v15.09.15"


def labels(records: tuple[ImageRecord, ...]) -> list[tuple[str, int, int]]:
    return [(Path(record.path).name, record.pid, record.camid) for record in records]


def test_reads_the_partition_sorted_by_name(market):
    data = read_market1501(market, check_counts=False)
    assert labels(data.train) == [("0002_c1s1_000451_03.jpg", 2, 1), ("0007_c2s3_070952_01.jpg", 7, 2)]
    assert labels(data.query) == [("0001_c1s1_001051_00.jpg", 1, 1)]
    assert labels(data.gallery) == [
        ("-1_c1s1_000401_03.jpg", -1, 1),
        ("0000_c3s1_000151_01.jpg", 0, 3),
        ("0001_c2s1_000301_00.png", 1, 2),
        ("0001_c6s2_000001_01.jpg.jpg", 1, 6),
    ]
    assert all(Path(record.path).is_absolute() and Path(record.path).exists() for record in data.gallery)


def test_images_of_a_set_that_is_not_the_official_one_may_be_of_any_size(market, monkeypatch):
    """To be told a size, ``load_images`` would take the first image's, however small, for all."""
    assert read_market1501(market, check_counts=False).image_size is None
    monkeypatch.setattr(market1501, "OFFICIAL_COUNTS", {})  # as if these were all
    assert read_market1501(market).image_size == (128, 64)


def test_accepts_the_parent_and_a_relative_path(market, monkeypatch):
    data = read_market1501(market, check_counts=False)
    assert read_market1501(market.parent, check_counts=False) == data
    monkeypatch.chdir(market.parent)
    assert read_market1501(Path("."), check_counts=False) == data


@given(
    pid=st.integers(-1, 99999),
    camid=st.integers(1, 99),
    doubled=st.booleans(),
    end=st.sampled_from(["jpg", "png", "JPG"]),
)
def test_names_parse_back(pid, camid, doubled, end):
    number = str(pid) if pid < 0 else f"{pid:04d}"
    name = f"{number}_c{camid}s1_000451_03{'.jpg' if doubled else ''}.{end}"
    assert parse_name(name) == (pid, camid)


BAD_NAMES = (
    "person.jpg",
    "0002_c1_000451_03.jpg",
    "-2_c1s1_000451_03.jpg",
    "0002_c1s1_000451_03 (1).jpg",
    "0002.png",
)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_image_with_another_name_is_refused_by_name(market, name):
    (market / "query" / name).touch()
    with pytest.raises(UserError) as caught:
        read_market1501(market, check_counts=False)
    assert str(market / "query" / name) in str(caught.value)


@pytest.mark.parametrize("folder", FILES)
def test_missing_and_empty_folder(market, folder):
    shutil.rmtree(market / folder)
    with pytest.raises(UserError, match=f"{folder} is missing; extract"):
        read_market1501(market, check_counts=False)
    (market / folder).mkdir()
    with pytest.raises(UserError, match=f"{folder} contains no image"):
        read_market1501(market, check_counts=False)


def test_no_data_set_at_all(tmp_path):
    with pytest.raises(UserError, match="no Market-1501 at"):
        read_market1501(tmp_path / "nowhere")


def test_counts_that_differ_name_folder_found_and_expected(market):
    with pytest.raises(UserError) as caught:
        read_market1501(market)
    message = str(caught.value)
    assert str(market) in message and "\n" not in message
    assert "bounding_box_train: found 3 images, 2 identities, 0 distractors, 1 junk, expected 12936 images" in message
    assert "query: found 2 images, 1 identities, 1 distractors" in message and "bounding_box_test: found 4" in message
    assert "extract it again" in message


def test_one_image_less_than_official_is_noticed(tmp_path, monkeypatch):
    """A full list of names passes; without its last gallery image it does not."""
    names: dict[str, list[str]] = {}
    monkeypatch.setattr(market1501, "image_names", lambda folder: names[folder.name])
    pids = {
        "bounding_box_train": range(1, 752),
        "query": range(1, 751),
        "bounding_box_test": [*([0] * 2798), *([-1] * 3819), *range(1, 751)],
    }
    for folder, needed in pids.items():
        (tmp_path / folder).mkdir()
        every = list(needed)
        every += [every[-1]] * (OFFICIAL_COUNTS[folder].images - len(every))
        names[folder] = [f"{'-1' if pid < 0 else f'{pid:04d}'}_c1s1_{n:06d}_00.jpg" for n, pid in enumerate(every)]
    data = read_market1501(tmp_path)
    assert count_records(data.gallery) == OFFICIAL_COUNTS["bounding_box_test"]
    names["bounding_box_test"].pop()
    with pytest.raises(UserError, match="found 19731 images.*expected 19732 images"):
        read_market1501(tmp_path)


KIN = {
    "with frames": ("0005_c2_f0046985.jpg", "0002_c8_f0044158.jpg"),
    "with numbers": ("0005_c2_31.png", "0002_c8_1.png"),
    "own": ("0005_c2s3_070952_01.jpg", "0002_c8s1_000451_03.jpg"),
}


@pytest.mark.parametrize("names", KIN.values(), ids=KIN)
def test_layout_of_other_data_sets(tmp_path, names):
    for folder in FILES:
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).touch()
    (tmp_path / "bounding_box_test" / "-1_c3_f1.jpg").touch()
    data = read_market_layout(tmp_path, "kin", "Kin", counts={})
    assert data.name == "kin" and data.image_size is None
    assert [(record.pid, record.camid) for record in data.query] == [(2, 8), (5, 2)]
    assert [(record.pid, record.camid) for record in data.gallery] == [(-1, 3), (2, 8), (5, 2)]
    with pytest.raises(UserError, match="Kin at .*query: found 2 images, 2 identities, expected 3 images, 2"):
        read_market_layout(tmp_path, "kin", "Kin", counts={"query": Counts(3, 2)})


def _layout(root: Path, *names: tuple[str, ...]) -> Dataset:
    """A set of training, query and gallery images as it is read."""
    for folder, own in zip(FILES, names, strict=True):
        (root / folder).mkdir()
        for name in own:
            (root / folder / name).touch()
    return read_market_layout(root, "kin", "Kin", counts={})


def test_cameras_from_zero_are_cameras(tmp_path):
    """In one folder is enough: the numbers are one numbering."""
    gallery = ("-1_c0_1.png", "0000_c2_1.png", "0002_c0_2.png", "0002_c1_1.png")
    data = _layout(tmp_path, ("0001_c1_1.png", "0001_c2_1.png"), ("0002_c0_1.png",), gallery)
    cameras = [[(record.pid, record.camid) for record in part] for part in (data.train, data.query, data.gallery)]
    assert cameras == [[(1, 2), (1, 3)], [(2, 1)], [(-1, 1), (0, 3), (2, 1), (2, 2)]]


def test_camera_zero_of_no_person_leaves_the_numbers(tmp_path):
    """Distractors and junk without a camera: persons keep the cameras that their names say."""
    gallery = ("-1_c0_1.png", "0000_c0_1.png", "0002_c2_1.png")
    data = _layout(tmp_path, ("0001_c1_1.png",), ("0002_c1_1.png",), gallery)
    assert [record.camid for record in (*data.train, *data.query, *data.gallery)] == [1, 1, 0, 0, 2]


@pytest.mark.parametrize("name", ["0005c2_1.png", "0005_2_1.png", "0005_c2_1 (2).png", "a_c2_1.png"])
def test_layout_refuses_other_names(tmp_path, name):
    for folder in FILES:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).touch()
    with pytest.raises(UserError, match="is not named like"):
        read_market_layout(tmp_path, "kin", "Kin", counts={})
