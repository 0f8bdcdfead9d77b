"""Where data sets that are trained on besides are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from reid.data.datasets.registry import DatasetConfig
from reid.errors import UserError
from tools.jobs import data
from tools.jobs.data import open_source
from tools.jobs.experiment import DataConfig

SETS = DataConfig(
    dataset=DatasetConfig("market1501", check_counts=False),
    also_train=(DatasetConfig("cuhk03-np-labeled", check_counts=False),),
)


def _make(root: Path, pids: dict[str, int], name: str) -> None:
    for folder, pid in pids.items():
        (root / folder).mkdir(parents=True)
        Image.new("RGB", (2, 4)).save(root / folder / name.format(pid))


def _market(root: Path) -> Path:
    pids = {"bounding_box_train": 1, "query": 2, "bounding_box_test": 2}
    _make(root / "market1501", pids, "{:04d}_c1s1_000001_00.jpg")
    return root


def _cuhk03(root: Path, person: int) -> Path:
    pids = {"bounding_box_train": person, "query": 2, "bounding_box_test": 2}
    _make(root / "CUHK03-NP" / "labeled", pids, "{:04d}_c1_1.png")
    return root


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch) -> Path:
    """The place whose folder ``data`` is looked in last."""
    monkeypatch.delenv("REID_DATA", raising=False)
    monkeypatch.setattr(data, "ROOT", tmp_path / "home")
    return tmp_path / "home"


def _person(given: Path | None) -> int:
    (besides,) = open_source(SETS, given).also_train
    return besides.train[0].pid


def test_they_are_looked_for_where_the_first_is(tmp_path):
    assert _person(_cuhk03(_market(tmp_path / "given"), 5)) == 5


def test_the_folder_that_is_given_comes_before_all_others(tmp_path, workplace):
    _cuhk03(workplace / "data", 7)
    assert _person(_cuhk03(_market(tmp_path / "given"), 5)) == 5


def test_the_first_ones_own_folder_may_be_given(tmp_path, workplace):
    """It holds no other data set: those are looked for as without it."""
    _cuhk03(workplace / "data", 7)
    assert _person(_market(tmp_path / "given") / "market1501") == 7


def test_one_that_is_nowhere_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no CUHK03-NP \(labeled\) under .*home/data; .*, or name another folder"):
        _person(_market(tmp_path / "given"))
