from __future__ import annotations

from collections import Counter
from itertools import combinations, combinations_with_replacement

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reid.data.samplers import CameraAwareSampler, PKSampler
from reid.data.samplers.camera_aware import deal_cameras
from reid.errors import UserError

images_of_cameras = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=4, max_size=60)


def most_cameras(cameras: list[int], k: int) -> int:
    """The greatest total of different cameras over all ways to show every image in ``ceil(n / k)`` sets of ``k``."""
    n = len(cameras)
    chunks = [(set(chunk), len({cameras[i] for i in chunk})) for chunk in combinations(range(n), k)]
    return max(
        sum(spread for _, spread in way)
        for way in combinations_with_replacement(chunks, -(-n // k))
        if len(set().union(*(chunk for chunk, _ in way))) == n
    )


@settings(max_examples=60, deadline=None)
@given(cameras=st.lists(st.integers(0, 3), min_size=2, max_size=7), k=st.integers(2, 4), seed=st.integers(0, 2**32))
def test_no_other_deal_has_more_cameras(cameras, k, seed):
    assume(k <= len(cameras))
    dealt = deal_cameras(np.array(cameras), k, np.random.default_rng(seed))
    assert sum(len({cameras[i] for i in chunk}) for chunk in dealt.tolist()) == most_cameras(cameras, k)


def test_cameras_with_images_for_more_than_every_chunk_are_dealt_first():
    """Three cameras, two chunks of four: the camera of one image fills the place that the others' repeats leave."""
    cameras = np.array([0, 0, 0, 1, 2, 2, 2])
    for seed in range(20):
        dealt = deal_cameras(cameras, 4, np.random.default_rng(seed))
        assert [len(set(chunk)) for chunk in cameras[dealt].tolist()] == [3, 3]


@settings(max_examples=150, deadline=None)
@given(cameras=st.lists(st.integers(0, 5), min_size=1, max_size=40), k=st.integers(1, 8), seed=st.integers(0, 2**32))
def test_a_deal_shows_every_image_and_repeats_evenly(cameras, k, seed):
    dealt = deal_cameras(np.array(cameras), k, np.random.default_rng(seed))
    assert dealt.shape == (-(-len(cameras) // k), k)
    assert set(dealt.reshape(-1).tolist()) == set(range(len(cameras)))
    for chunk in dealt.tolist():
        times = Counter(chunk)
        assert len(times) == min(k, len(cameras))
        assert max(times.values()) == -(-k // len(cameras))


def test_what_fills_up_chunks_is_shared_out_among_the_images():
    """Nine images of one camera in three chunks of four: three are shown twice, none three times."""
    for seed in range(20):
        times = Counter(deal_cameras(np.zeros(9, np.int64), 4, np.random.default_rng(seed)).reshape(-1).tolist())
        assert sorted(times.values()) == [1] * 6 + [2] * 3


@settings(max_examples=80, deadline=None)
@given(images=images_of_cameras, p=st.integers(1, 4), k=st.integers(1, 5), seed=st.integers(0, 2**40))
def test_batches_are_pk_batches(images, p, k, seed):
    labels, camids = torch.tensor(images).unbind(1)
    sizes = Counter(labels.tolist())
    assume(p <= len(sizes))
    sampler = CameraAwareSampler(labels, camids, p, k, seed)
    epoch = sampler.epoch(1)
    assert len(epoch) == sampler.batches_per_epoch == PKSampler(labels, p, k, seed).batches_per_epoch
    for batch in epoch:
        assert batch.shape == (p * k,) and batch.dtype == torch.int64
        groups = labels[batch].view(p, k)
        assert (groups == groups[:, :1]).all()
        assert len(set(groups[:, 0].tolist())) == p
    shown = set(torch.cat(epoch).tolist())
    for label, size in sizes.items():
        if -(-size // k) <= sampler.batches_per_epoch:
            assert set((labels == label).nonzero()[:, 0].tolist()) <= shown


def test_more_positive_pairs_cross_cameras_than_in_plain_pk_batches():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40).repeat_interleave(17)
    camids = torch.multinomial(torch.tensor([8.0, 4.0, 2.0, 1.0, 1.0, 1.0]), len(labels), True, generator=generator)

    def spread(sampler) -> float:
        groups = camids[torch.cat(sampler.epoch(0))].view(-1, 4)
        return sum(len(set(group)) for group in groups.tolist()) / len(groups)

    plain, aware = PKSampler(labels, 8, 4, 0), CameraAwareSampler(labels, camids, 8, 4, 0)
    assert spread(aware) > spread(plain) + 0.4


def test_deterministic_and_different_each_epoch():
    labels, camids = torch.arange(6).repeat(9), torch.arange(54) % 4
    sampler = CameraAwareSampler(labels, camids, 3, 2, seed=5)
    first = torch.stack(sampler.epoch(2))
    assert torch.equal(first, torch.stack(CameraAwareSampler(labels, camids, 3, 2, seed=5).epoch(2)))
    assert not torch.equal(first, torch.stack(sampler.epoch(3)))
    assert not torch.equal(first, torch.stack(CameraAwareSampler(labels, camids, 3, 2, seed=6).epoch(2)))


def test_refuses_cameras_of_other_images():
    with pytest.raises(UserError, match="4 images but 3 cameras"):
        CameraAwareSampler(torch.tensor([0, 0, 1, 1]), torch.tensor([1, 2, 1]), 2, 2, seed=0)
