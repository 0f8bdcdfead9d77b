from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.data.samplers import RandomSampler
from reid.errors import UserError


@settings(max_examples=150, deadline=None)
@given(images=st.integers(1, 80), batch=st.integers(1, 20), seed=st.integers(0, 2**40))
def test_every_image_once_and_whole_batches(images, batch, seed):
    sampler = RandomSampler(images, batch, seed)
    epoch = sampler.epoch(4)
    assert len(epoch) == sampler.batches_per_epoch == -(-images // batch)
    assert all(part.shape == (batch,) and part.dtype == torch.int64 for part in epoch)
    shown = Counter(torch.cat(epoch).tolist())
    # None is missed, and the places that are left over repeat images evenly.
    assert set(shown) == set(range(images)) and max(shown.values()) == -(-len(epoch) * batch // images)


def test_order_is_uniform():
    """First places over many epochs: each image as often as any other, within five standard deviations."""
    sampler, epochs = RandomSampler(5, 5, seed=0), 2000
    first = Counter(int(sampler.epoch(e)[0][0]) for e in range(epochs))
    deviation = (epochs * 0.2 * 0.8) ** 0.5
    assert all(abs(first[image] - epochs / 5) < 5 * deviation for image in range(5))


def test_refuses():
    for batch, rank in ((6, 0), (8, 4), (8, -1)):
        with pytest.raises(
            UserError, match=f"batch of {batch} images cannot be split over 4 .* identities times instances a"
        ):
            RandomSampler(30, batch, seed=0, rank=rank, world_size=4)
    for images, batch, seed in ((3, 0, 0), (0, 3, 0), (3, 3, -1)):
        with pytest.raises(UserError, match=f"batches of {batch} from {images} images, seed={seed}: "):
            RandomSampler(images, batch, seed)
