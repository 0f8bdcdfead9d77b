from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.data.datasets.own import OwnImage, own_dataset
from reid.data.records import NO_CAMERA
from reid.errors import UserError


def images(*rows: tuple[str, str | None, str | None]) -> list[OwnImage]:
    """Identity, camera and part of each; the path is the image's number."""
    return [OwnImage(str(number), *row, where=f"row {number}") for number, row in enumerate(rows)]


def numbers(records) -> list[int]:
    return [int(record.path) for record in records]


def test_given_parts_are_kept_in_order():
    rows = [("b", "x", "train"), ("z", "y", "query"), ("a", "x", "train"), ("z", "x", "gallery"), ("k", "y", "gallery")]
    data = own_dataset("set", images(*rows))
    assert [numbers(part) for part in (data.train, data.query, data.gallery)] == [[0, 2], [1], [3, 4]]
    assert data.identity_names == ("a", "b", "k", "z") and data.camera_names == ("x", "y")
    assert [(r.pid, r.camid) for r in data.train + data.query] == [(2, 1), (1, 1), (4, 2)]
    assert data.has_cameras and data.name == "set"


def test_numbers_are_in_ascending_order_before_words():
    rows = [(name, None, "train") for name in ("10", "9" * 5000, "9", "bob", "0", "²", "010")]
    assert own_dataset("set", images(*rows)).identity_names == ("0", "9", "010", "10", "9" * 5000, "bob", "²")


def test_junk_and_distractors():
    rows = [("a", "x", "query"), ("a", "y", "gallery"), ("junk", "x", "gallery"), ("distractor", "x", "gallery")]
    assert [record.pid for record in own_dataset("set", images(*rows)).gallery] == [1, -1, 0]
    for part in ("train", "query"):
        with pytest.raises(UserError, match=f"row 4: 'junk' may only be in the gallery, not in {part}"):
            own_dataset("set", images(*rows, ("junk", "x", part)))
    with pytest.raises(UserError, match="contains no person"):
        own_dataset("set", images(*rows[2:]))
    drawn = own_dataset("set", images(*((name, camera, None) for name, camera, _ in rows)), test_share=1)
    assert numbers(drawn.query) == [0] and numbers(drawn.gallery) == [1, 2, 3]


def test_minus_one_is_junk():
    """A table that was made of Market-1501 has it: as a person it would be a wrong answer to every query."""
    rows = [("0", "x", "query"), ("0", "y", "gallery"), ("-1", "x", "gallery")]
    data = own_dataset("set", images(*rows))
    assert data.identity_names == ("0",) and [record.pid for record in data.query + data.gallery] == [1, 1, -1]
    drawn = own_dataset("set", images(*((name, camera, None) for name, camera, _ in rows)), test_share=0)
    assert len(drawn.train) == 2
    with pytest.raises(UserError, match="row 3: '-1' may only be in the gallery"):
        own_dataset("set", images(*rows, ("-1", "x", "train")))


MISTAKES = {
    "contains no image": [],
    "row 1 has no camera": [("a", "x", None), ("b", None, None)],
    "row 0 has no part": [("a", "x", None), ("b", "x", "train")],
    "has query images but no gallery": [("a", "x", "train"), ("b", "x", "query")],
    "has gallery images but no query": [("a", "x", "train"), ("b", "x", "gallery")],
    "row 1: identity 'a' is both a query and a training identity": [
        ("a", "x", "train"),
        ("a", "y", "query"),
        ("a", "x", "gallery"),
    ],
    "none of 1 test identities has images from two cameras": [("a", "x", None), ("a", "x", None), ("b", "x", None)],
    "none of 1 test identities has two images": [("a", None, None), ("b", None, None)],
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes(message):
    with pytest.raises(UserError, match=message):
        own_dataset("set", images(*MISTAKES[message]))


@settings(deadline=None)
@given(
    labels=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3)), min_size=1, max_size=60),
    cameras=st.booleans(),
    share=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_drawn_parts(labels, cameras, share, seed):
    described = images(*((f"p{pid}", f"c{camera}" if cameras else None, None) for pid, camera in labels))
    try:
        data = own_dataset("set", described, share, seed)
    except UserError as error:
        assert "none of" in str(error)
        return
    persons = len({pid for pid, _ in labels})
    test = {record.pid for record in data.query + data.gallery}
    assert abs(len(test) - share * persons) <= 1
    assert not test & {record.pid for record in data.train}
    assert sorted(numbers(data.train + data.query + data.gallery)) == list(range(len(labels)))
    assert own_dataset("set", described, share, seed) == data
    assert data.has_cameras == cameras
    offered = [(record.pid, record.camid) for record in data.query]
    assert len(set(offered)) == len(offered)
    for query in data.query:
        assert cameras or query.camid == NO_CAMERA
        assert any(r.pid == query.pid and (r.camid != query.camid or not cameras) for r in data.gallery)
    asked = {record.pid for record in data.query}
    for pid in test - asked:  # whom no query could be answered for
        seen = [record.camid for record in data.gallery if record.pid == pid]
        assert len(set(seen)) == 1 if cameras else len(seen) == 1


def test_another_seed_draws_other_persons():
    described = images(*((f"p{number // 2:02d}", None, None) for number in range(40)))
    draws = {own_dataset("set", described, 0.5, seed).train for seed in range(5)}
    assert len(draws) == 5 and all(len(draw) == 20 for draw in draws)


def test_share_of_none_and_all():
    described = images(*((f"p{number // 2}", None, None) for number in range(8)))
    only_train = own_dataset("set", described, 0)
    assert len(only_train.train) == 8 and only_train.query == only_train.gallery == ()
    only_test = own_dataset("set", described, 1)
    assert only_test.train == () and numbers(only_test.query) == [0, 2, 4, 6]
