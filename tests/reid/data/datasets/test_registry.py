from __future__ import annotations

from pathlib import Path

import pytest

from reid.config import build_config, config_to_dict
from reid.data.datasets.cuhk03_release import RELEASE
from reid.data.datasets.registry import READERS, DatasetConfig, dataset_names, open_dataset, opened_name, split_count
from reid.errors import UserError

MARKET = ("bounding_box_train/0002_c1s1_000451_03.jpg", "query/0001_c1s1_001051_00.jpg")
MARKET = (*MARKET, "bounding_box_test/0001_c2s1_000301_00.jpg")


def opened(config: DatasetConfig, root: Path, given: Path | None = None):
    return open_dataset(config, given, root, root / "cache")


def configured(**values) -> DatasetConfig:
    return build_config(DatasetConfig, values, "test")


def test_names_and_splits():
    assert set(dataset_names()) >= {"market1501", "msmt17", "cuhk01", "folder", "csv", "market-layout"}
    assert {name: split_count(name) for name in dataset_names() if split_count(name) > 1} == {
        "cuhk03-classic-detected": 20,
        "cuhk03-classic-labeled": 20,
        "cuhk01": 20,
    }


def test_config_round_trip_and_unknown_names():
    config = configured(name="folder", root="people", pattern=r"c(?P<camid>\d)", test_share=0.25)
    assert build_config(DatasetConfig, config_to_dict(config), "test") == config
    with pytest.raises(UserError, match="there is no such data set; nearest: market1501"):
        configured(name="market-1501")
    with pytest.raises(UserError, match="unknown key 'spilt'; nearest: split"):
        configured(name="cuhk01", spilt=1)


@pytest.mark.parametrize("name", [name for name, reader in READERS.items() if reader.place is not None])
def test_missing_data_set_says_where_and_what(tmp_path, name, monkeypatch):
    with pytest.raises(UserError, match="^no .* under .*data; .*extract .*--data or") as caught:
        opened(configured(name=name), tmp_path)
    assert str(tmp_path / "data") in str(caught.value)
    monkeypatch.setenv("REID_DATA", str(tmp_path))
    with pytest.raises(UserError, match=f"^no .* under {tmp_path}; "):
        opened(configured(name=name), tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"data folder {tmp_path} contains no .*; extract "):
        opened(configured(name=name), tmp_path, given=tmp_path)


@pytest.mark.parametrize("name", ["folder", "csv", "market-layout"])
def test_own_data_must_be_named(tmp_path, name):
    with pytest.raises(UserError, match=f"'{name}' needs root.*data.dataset.root={tmp_path}, or"):
        opened(configured(name=name), tmp_path, given=tmp_path)


def test_options_that_a_data_set_does_not_have(tmp_path):
    with pytest.raises(
        UserError, match="'market1501' has no option 'split'; leave it out .its options: root, check_counts"
    ):
        opened(configured(name="market1501", split=1), tmp_path)
    with pytest.raises(UserError, match="'cuhk01' has no option 'pattern'"):
        opened(configured(name="cuhk01", pattern="x"), tmp_path)
    with pytest.raises(UserError, match="'cuhk01' has no split 20; give one from 0 to 19"):
        opened(configured(name="cuhk01", split=20), tmp_path)


def test_root_goes_before_given_before_variable(tmp_path, make_images, monkeypatch):
    for place in ("named", "given", "variable"):
        make_images(tmp_path / place / "market1501", *MARKET)
    monkeypatch.setenv("REID_DATA", str(tmp_path / "variable"))

    def where(given: Path | None = None, **values) -> str:
        config = configured(name="market1501", check_counts=False, **values)
        return Path(opened(config, tmp_path, given).query[0].path).relative_to(tmp_path).parts[0]

    assert where() == "variable"
    assert where(given=tmp_path / "given") == "given"
    assert where(given=tmp_path / "given", root=tmp_path / "named") == "named"
    with pytest.raises(UserError, match="differs from the official"):
        opened(configured(name="market1501"), tmp_path)


def test_every_reader_is_reached(tmp_path, make_images):
    """Each name opens its own data set, with its options, where all lie side by side."""
    data = tmp_path / "data"
    make_images(data / "CUHK03-NP" / "labeled", *(name.replace("s1_", "_") for name in MARKET))
    make_images(data / "cuhk01" / "campus", *(f"{p:04d}{n:03d}.png" for p in (1, 2, 3) for n in (1, 2, 3, 4)))
    make_images(data / "MSMT17_V1" / "train", "0000/0000_000_01_0303morning_0008_0.jpg")
    make_images(data / "MSMT17_V1" / "test", "0000/0000_000_02_0303morning_0008_0.jpg")
    for part, camera in (("train", 1), ("val", 1), ("query", 2), ("gallery", 2)):
        line = f"0000/0000_000_{camera:02d}_0303morning_0008_0.jpg 0\n"
        (data / "MSMT17_V1" / f"list_{part}.txt").write_text(line)
    make_images(data / "kin", *MARKET)
    make_images(data / "people", "anna/c1.jpg", "anna/c2.jpg", "bea/c1.jpg", "bea/c2.jpg")
    (data / "table.csv").write_text("path,pid\n" + "".join(f"people/anna/c{n}.jpg,anna\n" for n in (1, 2)))

    def read(name: str, **values):
        data_set = opened(configured(name=name, **values), tmp_path)
        assert data_set.name.split("-")[0] == opened_name(configured(name=name, **values)).split("-")[0]
        return data_set

    assert read("cuhk03-np-labeled", check_counts=False).name == "cuhk03-np-labeled"
    assert read("cuhk01", split=1, check_counts=False).query[0].camid == 2
    assert len(read("msmt17", check_counts=False).train) == 2
    assert len(read("msmt17", check_counts=False, validation=False).train) == 1
    assert read("market-layout", root=data / "kin").name == "kin"
    assert read("folder", root=data / "people", pattern=r"c(?P<camid>\d)", test_share=1).train == ()
    assert len(read("csv", root=data / "table.csv", test_share=1).query) == 1
    with pytest.raises(UserError, match="no CUHK03 under"):
        read("cuhk03-classic-detected")
    (data / "cuhk03" / RELEASE).parent.mkdir(parents=True)
    (data / "cuhk03" / RELEASE).write_bytes(b"")
    with pytest.raises(UserError, match="cuhk-03.mat (is not an HDF5 file|needs h5py)"):
        read("cuhk03-classic-detected", split=19)
