from __future__ import annotations

import torch

from reid.data.records import ImageSet
from reid.engine.doctor import identity_overlap


def image_set(pixels: list[int], pids: list[int]) -> ImageSet:
    images = torch.tensor(pixels, dtype=torch.uint8)[:, None, None, None].expand(-1, 4, 2, 3).contiguous()
    return ImageSet(images, torch.tensor(pids), torch.ones(len(pids), dtype=torch.int64))


def test_names_shared_persons_and_pictures():
    train = image_set([10, 11, 12, 11], [1, 1, 2, 3])
    query = image_set([50, 11], [7, 2])
    gallery = image_set([12, 60, 10, 61], [0, 1, -1, -1])
    overlap = identity_overlap(train, query, gallery)
    assert overlap.identities == (1, 2)
    # Of equal training images the first; the junk copy of image 10 is left out, the distractor copy of 12 is not.
    assert overlap.images == (("query", 1, 1), ("gallery", 0, 2))


def test_apart_is_false():
    overlap = identity_overlap(image_set([1, 2], [1, 2]), image_set([3], [3]), image_set([4, 5, 6], [3, 0, -1]))
    assert not overlap and overlap.identities == () and overlap.images == ()


def test_one_pixel_makes_another_picture():
    train, query = image_set([7, 8], [1, 2]), image_set([7], [5])
    query.images[0, 3, 1, 2] += 1
    assert not identity_overlap(train, query, image_set([9], [5]))


def test_same_bytes_in_another_shape_are_another_picture():
    train, query = image_set([7], [1]), image_set([7], [5])
    turned = ImageSet(query.images.transpose(1, 2).contiguous(), query.pids, query.camids)
    assert not identity_overlap(train, turned, image_set([9], [5]))
