"""What labels are refused, and which pairs of one identity there are; the scores that come of them are tested against
loops in test_metrics.py.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation.retrieval.matching import match
from evaluation.retrieval.rules import NO_CAMERAS, RECORDS, MatchRule
from reid.errors import UserError


def labels(values):
    return st.lists(values, min_size=1, max_size=12)


@given(labels(st.integers(-1, 3)), labels(st.integers(-1, 3)), st.data())
def test_pairs_are_those_of_a_double_loop(query, gallery, data):
    start = data.draw(st.integers(0, len(query)))
    stop = data.draw(st.integers(start, len(query)))
    matching = match(query, None, torch.tensor(gallery), None, NO_CAMERAS)
    assert matching.columns.tolist() == [place for place, pid in enumerate(gallery) if pid != -1]
    expected = [
        (row, column)
        for row, pid in enumerate(query[start:stop])
        for column, place in enumerate(matching.columns)
        if pid == gallery[place] and pid != 0
    ]
    rows, places, junk = matching.same_identity(start, stop)
    assert list(zip(rows.tolist(), places.tolist(), strict=True)) == expected
    assert not junk.any()


def test_unknown_cameras_match_nothing():
    matching = match([1, 1], [0, 3], [1, 1, 1], [0, 3, 4], RECORDS)
    assert matching.same_identity(0, 2)[2].tolist() == [False, False, False, False, True, False]
    assert match([1], [0], [1], [0], RECORDS).junk_keys == ()
    small = match([1, 1], torch.tensor([0, 3], dtype=torch.uint8), [1], torch.tensor([255], dtype=torch.uint8), RECORDS)
    assert not small.same_identity(0, 2)[2].any()


IMAGES = np.array(["a.jpg", "b.jpg"])


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        (([1], None, [1, 2], None), {}, "cameras are missing: give the camids of both sides, or use the rule"),
        (([1], [1], [1, 2], None), {}, "cameras are missing"),
        (([1], [1], [1, 2], [1]), {}, "gallery has 2 pids but 1 camids"),
        (([1.5], [1], [1, 2], [1, 1]), {}, "query pids must be whole numbers, got float64"),
        ((["p1"], [1], ["p1"], [1]), {}, "query pids must be whole numbers"),
        (([1], [1], [[1, 2]], [1, 1]), {}, r"gallery pids must be one number per image, got shape \(1, 2\)"),
        (([1], [1], torch.zeros(0, dtype=torch.int64), []), {}, "the gallery is empty"),
        (([1], [1], [1, 2], [2, 2]), {"query_ids": [7]}, "image ids are given for one side only"),
        (([1], [1], [1, 2], [2, 2]), {"query_ids": [7], "gallery_ids": [7]}, "gallery has 2 pids but image ids of"),
        (
            ([1], [1], [1, 2], [2, 2]),
            {"query_ids": [7], "gallery_ids": IMAGES},
            "image ids must be of the same kind, got int64",
        ),
        (
            ([1], [1], [2, 1], [2, 2]),
            {"query_ids": ["a.jpg"], "gallery_ids": IMAGES},
            "image a.jpg has two identities, 1 and 2",
        ),
    ],
)
def test_unusable_labels_are_named_in_one_line(arguments, options, message):
    with pytest.raises(UserError, match=message) as error:
        match(*arguments, **options)
    assert "\n" not in str(error.value)


def test_rules_are_strict():
    with pytest.raises(ValueError, match="junk_pids"):
        MatchRule(junk_pids=("nobody",))
