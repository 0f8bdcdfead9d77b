from __future__ import annotations

from pathlib import Path

import pytest

from reid.data.datasets.cuhk03 import classic_place, new_protocol_place
from reid.data.datasets.market1501 import PLACE, find_market1501
from reid.data.datasets.msmt17 import PLACE as MSMT17
from reid.data.locate import Place, locate, locate_or_fail
from reid.errors import UserError

PLACES = (PLACE, MSMT17, classic_place(), new_protocol_place("detected"), new_protocol_place("labeled"))


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv("REID_DATA", raising=False)


def make(folder: Path, parts: tuple[str, ...] = PLACE.parts) -> Path:
    for part in parts:
        (folder / part).mkdir(parents=True)
    return folder


CASES = [pytest.param(place, name, id=f"{place.title}-{name}") for place in PLACES for name in place.folders]


@pytest.mark.parametrize(("place", "name"), CASES)
def test_every_folder_is_found_in_every_place(tmp_path, monkeypatch, place: Place, name: str):
    made = make(tmp_path / "data" / name, place.parts)
    assert locate(place, None, tmp_path).samefile(made)
    assert locate(place, tmp_path / "data", tmp_path / "elsewhere").samefile(made)
    monkeypatch.setenv("REID_DATA", str(tmp_path / "data"))
    assert locate(place, None, tmp_path / "elsewhere").samefile(made)
    assert locate_or_fail(place, None, tmp_path / "elsewhere").samefile(made)


def test_order_given_then_variable_then_root(tmp_path, monkeypatch):
    given, variable, root = (make(tmp_path / name) for name in ("given", "variable", "root/data"))
    assert find_market1501(None, tmp_path / "root").samefile(root)
    monkeypatch.setenv("REID_DATA", str(variable))
    assert find_market1501(None, tmp_path / "root").samefile(variable)
    assert find_market1501(given, tmp_path / "root").samefile(given)


def test_variable_without_market_does_not_fall_back(tmp_path, monkeypatch):
    make(tmp_path / "data")
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("REID_DATA", str(tmp_path / "other"))
    assert find_market1501(None, tmp_path) is None
    with pytest.raises(UserError, match="no Market-1501 under .*other; extract Market-1501-v15.09.15.zip"):
        locate_or_fail(PLACE, None, tmp_path)


def test_complete_folder_goes_before_a_partial_one(tmp_path):
    make(tmp_path / "data", ("query",))
    complete = make(tmp_path / "data" / "market1501")
    assert find_market1501(None, tmp_path).samefile(complete)


def test_partial_folder_is_found_for_the_reader_to_complain_about(tmp_path):
    partial = make(tmp_path / "data" / "Market-1501-v15.09.15", ("bounding_box_train",))
    assert find_market1501(None, tmp_path).samefile(partial)


def test_nothing_there(tmp_path):
    assert find_market1501(None, tmp_path) is None


def test_refuses(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="nowhere does not exist"):
        find_market1501(tmp_path / "nowhere", tmp_path)
    archive = tmp_path / "Market.zip"
    archive.write_bytes(b"")
    with pytest.raises(
        UserError, match="Market.zip is a file, not a folder; give the folder that contains Market-1501"
    ):
        find_market1501(archive, tmp_path)
    with pytest.raises(UserError, match="contains no Market-1501"):
        find_market1501(tmp_path, tmp_path)
    monkeypatch.setenv("REID_DATA", str(tmp_path / "gone"))
    with pytest.raises(UserError, match="REID_DATA is .*gone"):
        find_market1501(None, tmp_path)
