from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.data.records import ImageSet
from reid.data.split import query_gallery_split, query_mask, take_identities
from reid.errors import UserError


def image_set(pids: list[int], camids: list[int] | None = None) -> ImageSet:
    """Each image's single pixel is its number, so that it can be recognised after a split."""
    numbers = torch.arange(len(pids), dtype=torch.uint8)
    return ImageSet(
        images=numbers.view(-1, 1, 1, 1).expand(-1, 1, 1, 3).contiguous(),
        pids=torch.tensor(pids),
        camids=torch.tensor(camids or [1] * len(pids)),
    )


def numbers_of(images: ImageSet) -> list[int]:
    return images.images[:, 0, 0, 0].tolist()


def test_take_identities_in_ascending_order():
    images = image_set([9, 4, 0, 7, 4, -1, 2])
    assert numbers_of(take_identities(images, 0, 2)) == [1, 4, 6]  # identities 2 and 4
    assert numbers_of(take_identities(images, 2, 1)) == [3]
    assert numbers_of(take_identities(images, 1, None)) == [0, 1, 3, 4]
    taken = take_identities(images, 0, 4)
    assert taken.pids.tolist() == [9, 4, 7, 4, 2] and numbers_of(taken) == [0, 1, 3, 4, 6]


@pytest.mark.parametrize(("first", "count"), [(0, 5), (3, 2), (4, None), (9, 1)])
def test_take_identities_says_how_many_there_are(first, count):
    with pytest.raises(UserError, match="the data set has 4"):
        take_identities(image_set([9, 4, 0, 7, 4, -1, 2]), first, count)


@pytest.mark.parametrize(("first", "count"), [(-1, 2), (0, 0)])
def test_take_identities_out_of_range(first, count):
    with pytest.raises(UserError, match="give a first of at least 0 and a count of at least 1"):
        take_identities(image_set([1, 2]), first, count)


def expected_queries(pids: list[int], camids: list[int]) -> list[bool]:
    """The definition, image by image."""
    pairs = list(zip(pids, camids, strict=True))
    offered = [pair not in pairs[:i] for i, pair in enumerate(pairs)]
    return [
        offered[i]
        and p > 0
        and any(pids[j] == p and camids[j] != camids[i] and not offered[j] for j in range(len(pids)))
        for i, p in enumerate(pids)
    ]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(1, 4)), max_size=40))
def test_query_mask_against_the_definition(rows):
    pids, camids = [p for p, _ in rows], [c for _, c in rows]
    mask = query_mask(torch.tensor(pids, dtype=torch.int64), torch.tensor(camids, dtype=torch.int64))
    assert mask.tolist() == expected_queries(pids, camids)


def test_split_by_hand():
    #                   0  1  2  3  4  5  6  7  8   9
    images = image_set([1, 1, 1, 2, 2, 3, 3, 0, -1, 1], [1, 1, 2, 1, 2, 1, 1, 1, 1, 2])
    query, gallery = query_gallery_split(images)
    # Person 1 gives a query at each camera. No query: person 2 (one image per camera), 3 (one camera).
    assert numbers_of(query) == [0, 2]
    assert numbers_of(gallery) == [1, 3, 4, 5, 6, 7, 8, 9]
    assert query.pids.tolist() == [1, 1] and query.camids.tolist() == [1, 2]


def test_split_without_any_query():
    with pytest.raises(UserError, match="two cameras"):
        query_gallery_split(image_set([1, 1, 2, 2], [1, 1, 2, 2]))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 4)), max_size=20))
def test_without_cameras_the_first_of_several_images_is_the_query(rows):
    pids, camids = [p for p, _ in rows], [c for _, c in rows]
    mask = query_mask(torch.tensor(pids, dtype=torch.int64), torch.tensor(camids, dtype=torch.int64), cameras=False)
    assert mask.tolist() == [p > 0 and pids.count(p) > 1 and p not in pids[:i] for i, p in enumerate(pids)]


def test_split_without_cameras():
    query, gallery = query_gallery_split(image_set([1, 1, 2, 0, 3, 3], [0] * 6), cameras=False)
    assert numbers_of(query) == [0, 4] and numbers_of(gallery) == [1, 2, 3, 5]
    with pytest.raises(UserError, match="has two images for a query"):
        query_gallery_split(image_set([1, 2, 0, 0]), cameras=False)
