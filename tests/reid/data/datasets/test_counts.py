from __future__ import annotations

from pathlib import Path

import pytest

from reid.data.datasets import cuhk01, cuhk03, msmt17
from reid.data.datasets.counts import Counts, count_records, require_counts
from reid.data.records import ImageRecord
from reid.errors import UserError

RECORDS = [ImageRecord("", pid, 1) for pid in (3, 3, 8, 0, 0, 0, -1)]


def test_counts_by_hand():
    assert count_records(RECORDS) == Counts(images=7, identities=2, distractors=3, junk=1)
    assert count_records([]) == Counts(0, 0)


def test_every_part_that_differs_is_named():
    parts = {"train": RECORDS[:3], "query": RECORDS[:2], "gallery": RECORDS}
    right = {"train": Counts(3, 2), "query": Counts(2, 1), "gallery": Counts(7, 2, 3, 1)}
    require_counts("Set", Path("x"), parts, right)
    require_counts("Set", Path("x"), parts, {})
    with pytest.raises(UserError) as caught:
        require_counts("Set", Path("x"), parts, {**right, "train": Counts(4, 2), "gallery": Counts(7, 2, 3, 2)})
    message = str(caught.value)
    assert "Set at x" in message and "check_counts: false" in message and "\n" not in message
    assert "train: found 3 images, 2 identities, expected 4 images, 2 identities" in message
    assert "3 distractors, 1 junk, expected" in message and "query" not in message


def test_published_totals():
    """Numbers of the official parts add up to what the data sets' papers say of the whole."""

    def images(counts: dict[str, Counts]) -> int:
        return sum(part.images for part in counts.values())

    assert images(msmt17.OFFICIAL_COUNTS) == 126_441
    assert msmt17.OFFICIAL_COUNTS["train"].identities + msmt17.OFFICIAL_COUNTS["gallery"].identities == 4101
    assert images(cuhk01.OFFICIAL_COUNTS) == 4 * 971
    for kind in ("detected", "labeled"):
        assert images(cuhk03.NEW_COUNTS[kind]) == cuhk03.CLASSIC_IMAGES[kind]
        identities = cuhk03.NEW_COUNTS[kind]["train"].identities + cuhk03.NEW_COUNTS[kind]["query"].identities
        assert identities == cuhk03.CLASSIC_TRAIN_IDENTITIES + cuhk03.CLASSIC_TEST_IDENTITIES == 1467
