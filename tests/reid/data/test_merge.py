from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.data.merge import merge_for_training
from reid.data.records import NO_CAMERA, Dataset, ImageRecord
from reid.errors import UserError

LABELS = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=12)


def dataset(name: str, labels: list[tuple[int, int]]) -> Dataset:
    train = tuple(ImageRecord(f"{name}/{n}", pid, camid) for n, (pid, camid) in enumerate(labels))
    return Dataset(name, train, query=(), gallery=())


def test_by_hand():
    first = dataset("a", [(7, 1), (2, 6), (7, 6)])
    second = dataset("b", [(2, NO_CAMERA), (1, NO_CAMERA)])
    third = dataset("c", [(2, 1)])
    merged = merge_for_training([first, second, third])
    assert [(r.pid, r.camid, r.source) for r in merged] == [
        (2, 1, 0),
        (1, 2, 0),
        (2, 2, 0),
        (4, NO_CAMERA, 1),
        (3, NO_CAMERA, 1),
        (5, 3, 2),
    ]
    assert [r.path for r in merged] == ["a/0", "a/1", "a/2", "b/0", "b/1", "c/0"]


@settings(deadline=None)
@given(st.lists(LABELS, min_size=1, max_size=4))
def test_same_person_and_camera_after_as_before(sets):
    datasets = [dataset(str(number), labels) for number, labels in enumerate(sets)]
    merged = merge_for_training(datasets)
    before = [(source, r.pid, r.camid) for source, d in enumerate(datasets) for r in d.train]
    assert [r.source for r in merged] == [source for source, _, _ in before]
    for old, new in zip(before, merged, strict=True):
        for other_old, other_new in zip(before, merged, strict=True):
            assert (old[:2] == other_old[:2]) == (new.pid == other_new.pid)
            known = old[2] != NO_CAMERA and other_old[2] != NO_CAMERA
            assert not known or ((old[0], old[2]) == (other_old[0], other_old[2])) == (new.camid == other_new.camid)
    assert {r.pid for r in merged} == set(range(1, len({old[:2] for old in before}) + 1))
    assert all((new.camid == NO_CAMERA) == (old[2] == NO_CAMERA) for old, new in zip(before, merged, strict=True))


def test_refuses():
    one = dataset("a", [(1, 1)])
    with pytest.raises(UserError, match="no data sets"):
        merge_for_training([])
    with pytest.raises(UserError, match="'a' would be merged with itself.* rename the folder or file of one"):
        merge_for_training([one, one])
    with pytest.raises(UserError, match="'b' has no training images"):
        merge_for_training([one, dataset("b", [])])
