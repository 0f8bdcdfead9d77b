"""The reader, cache, split and sampler on the real Market-1501."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reid.data.cache import load_images
from reid.data.datasets.counts import count_records
from reid.data.datasets.market1501 import OFFICIAL_COUNTS, read_market1501
from reid.data.records import Dataset
from reid.data.samplers import PKSampler
from reid.data.split import query_gallery_split, take_identities

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def market(market1501_root: Path) -> Dataset:
    return read_market1501(market1501_root)


def test_official_counts(market):
    assert (len(market.train), len(market.query), len(market.gallery)) == (12936, 3368, 19732)
    assert len({r.pid for r in market.train}) == 751
    assert len({r.pid for r in market.query}) == 750
    assert count_records(market.gallery) == OFFICIAL_COUNTS["bounding_box_test"]
    # 13,115 show a person of the queries; with the distractors 15,913, the gallery that papers count.
    kinds = Counter(min(r.pid, 1) for r in market.gallery)
    assert kinds == {1: 13115, 0: 2798, -1: 3819}


def test_identities_and_cameras(market):
    train, query = {r.pid for r in market.train}, {r.pid for r in market.query}
    assert not train & query
    assert {r.pid for r in market.gallery} - {0, -1} == query
    assert sorted(train)[:5] == [2, 7, 10, 11, 12] and sorted(query)[:5] == [1, 3, 4, 5, 6]
    every = [*market.train, *market.query, *market.gallery]
    assert {r.camid for r in every} == set(range(1, 7))
    assert sum(r.path.endswith(".jpg.jpg") for r in every) == 24
    # One query for each identity and camera, as the data set's authors describe it.
    assert len({(r.pid, r.camid) for r in market.query}) == len(market.query)


def test_cache_split_and_sampler(market, tmp_path):
    images = load_images(market.train[:4000], tmp_path, progress=False)
    assert images.images.shape == (4000, 128, 64, 3)
    for index in (0, 1234, 3999):
        with Image.open(market.train[index].path) as picture:
            assert np.array_equal(images.images[index].numpy(), np.asarray(picture.convert("RGB")))
    held_out = take_identities(images, 50, 50)
    assert held_out.pids.unique().tolist() == images.pids.unique().tolist()[50:100]
    query, gallery = query_gallery_split(held_out)
    for pid, camid in zip(query.pids, query.camids, strict=True):
        assert ((gallery.pids == pid) & (gallery.camids != camid)).any()
    assert len(query) + len(gallery) == len(held_out)


def test_epochs_of_the_usual_batch(market):
    labels = torch.tensor([record.pid for record in market.train])
    sampler = PKSampler(labels, 16, 4, seed=0)
    assert sampler.batches_per_epoch == 220  # ceil of the sum over identities of ceil(images / 4), over 16
    for epoch in (0, 1):
        assert torch.cat(sampler.epoch(epoch)).unique().tolist() == list(range(12936))
