"""Partitions that are told without opening a data set, against the persons that the readers give."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from PIL import Image

from reid.data.datasets.partition import partition_of
from reid.data.datasets.registry import DatasetConfig, open_dataset


def _draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (2, 4)).save(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """``cuhk01`` with 12 persons; ``shop`` with 8 and nobody's part told; ``parts`` with the parts told."""
    folder = tmp_path_factory.mktemp("data")
    for person, image in product(range(1, 13), range(1, 5)):
        _draw(folder / "cuhk01" / "campus" / f"{person:04d}{image:03d}.png")
    for person, camera in product("abcdefgh", (1, 2)):
        _draw(folder / "shop" / person / f"c{camera}.png")
        parts = ("train",) if person < "e" else ("query", "gallery")
        for part in parts:
            _draw(folder / "parts" / part / person / f"c{camera}.png")
    return folder


CASES = {
    "cuhk01": [{"split": number, "check_counts": False} for number in range(6)],
    "shop": [{}, {"seed": 1}, {"pattern": r"c(?P<camid>\d)"}, {"test_share": 0.25, "seed": 3}],
    "parts": [{}, {"seed": 1}, {"pattern": r"c(?P<camid>\d)"}],
}


@pytest.mark.parametrize("name", CASES)
def test_partitions_mix_where_a_person_is_trained_on_by_one_and_tested_by_the_other(root, name):
    reader = name if name == "cuhk01" else "folder"
    configs = [DatasetConfig(reader, root=root / name, **options) for options in CASES[name]]
    opened = [open_dataset(config, None, root, root) for config in configs]
    for (one, this), (two, other) in product(zip(configs, opened, strict=True), repeat=2):
        both = {record.pid for record in this.train} & {record.pid for record in other.query}
        assert partition_of(one).mixes_with(partition_of(two)) is bool(both)


@pytest.mark.parametrize(
    ("one", "two", "mixed"),
    [
        (("market1501", 0), ("msmt17", 0), False),
        (("cuhk03-classic-detected", 3), ("cuhk03-classic-labeled", 3), False),
        (("cuhk03-classic-detected", 3), ("cuhk03-classic-labeled", 4), True),
        (("cuhk03-classic-detected", 0), ("cuhk03-np-detected", 0), True),
        (("cuhk01", 0), ("cuhk03-classic-detected", 3), False),
    ],
)
def test_variants_of_a_data_set_have_the_same_persons(one, two, mixed):
    one, two = (partition_of(DatasetConfig(name, split=split)) for name, split in (one, two))
    assert one.mixes_with(two) is two.mixes_with(one) is mixed


def test_a_folder_is_the_same_by_whatever_path(root):
    here, there = (root / "shop", root / "parts" / ".." / "shop")
    assert partition_of(DatasetConfig("folder", root=here)) == partition_of(DatasetConfig("folder", root=there))
