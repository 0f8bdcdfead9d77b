from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reid.data.samplers import BalancedSampler, PKSampler
from reid.errors import UserError

source_counts = st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=9), min_size=1, max_size=4)


def images_of(counts: list[list[int]], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels and sources in random order; ``counts[s]`` are the images of each identity of source ``s``."""
    identities = [(source * 10 + 2, size) for source, sizes in enumerate(counts) for size in sizes]
    labels = [label for label, (_, size) in enumerate(identities) for _ in range(size)]
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    labels = torch.tensor(labels)[order]
    return labels * 3 + 1, torch.tensor([source for source, _ in identities])[labels]


@settings(max_examples=150, deadline=None)
@given(counts=source_counts, p=st.integers(1, 8), k=st.integers(1, 4), seed=st.integers(0, 2**40))
def test_each_batch_takes_as_many_identities_of_each_source(counts, p, k, seed):
    assume(len(counts) <= p and all(len(sizes) >= -(-p // len(counts)) for sizes in counts))
    labels, sources = images_of(counts, seed % 1000)
    sampler = BalancedSampler(labels, sources, p, k, seed)
    epoch = sampler.epoch(0)
    assert len(epoch) == sampler.batches_per_epoch
    for batch in epoch:
        groups = labels[batch].view(p, k)
        assert (groups == groups[:, :1]).all()
        assert len(set(groups[:, 0].tolist())) == p
        taken = Counter(sources[batch[::k]].tolist())
        assert len(taken) == len(counts) and max(taken.values()) - min(taken.values()) <= 1
    shown = set(torch.cat(epoch).tolist())
    chunks = {label: -(-size // k) for label, size in Counter(labels.tolist()).items()}
    for label, needed in chunks.items():
        if needed <= len(epoch):
            assert set((labels == label).nonzero()[:, 0].tolist()) <= shown


@settings(max_examples=100, deadline=None)
@given(counts=source_counts, p=st.integers(1, 8), k=st.integers(1, 4))
def test_an_epoch_is_no_longer_than_the_slowest_source_needs(counts, p, k):
    assume(len(counts) <= p and all(len(sizes) >= -(-p // len(counts)) for sizes in counts))
    labels, sources = images_of(counts, 0)
    needed = [sum(-(-size // k) for size in sizes) for sizes in counts]
    batches, given_places = 0, [0] * len(counts)
    while any(have < want for have, want in zip(given_places, needed, strict=True)):
        for place in range(p):
            given_places[(batches * p + place) % len(counts)] += 1
        batches += 1
    assert BalancedSampler(labels, sources, p, k, seed=0).batches_per_epoch == batches


def test_one_source_is_plain_pk():
    labels = torch.arange(7).repeat(6)
    balanced = BalancedSampler(labels, torch.zeros_like(labels), 3, 4, seed=9).epoch(2)
    assert all(map(torch.equal, balanced, PKSampler(labels, 3, 4, seed=9).epoch(2)))


def test_a_small_source_is_not_drowned():
    """10 of 210 identities are of the small source; half of all places are its."""
    labels, sources = images_of([[8] * 200, [8] * 10], 0)
    batches = torch.cat(BalancedSampler(labels, sources, 8, 4, seed=0).epoch(0))
    assert (sources[batches] == 12).float().mean() == 0.5
    plain = torch.cat(PKSampler(labels, 8, 4, seed=0).epoch(0))
    assert (sources[plain] == 12).float().mean() < 0.06


@pytest.mark.parametrize("world_size", [2, 3])
def test_every_rank_sees_every_source(world_size):
    labels, sources = images_of([[5] * 9, [7] * 4, [3] * 6], 0)
    p = 9 if world_size == 3 else 12
    ranks = [BalancedSampler(labels, sources, p, 2, 1, rank, world_size) for rank in range(world_size)]
    for sampler in ranks:
        for batch in sampler.epoch(0):
            taken = Counter(sources[batch[::2]].tolist())
            assert len(taken) == 3 and len(set(taken.values())) == 1


def test_refuses():
    labels, sources = images_of([[4, 4, 4], [4, 4, 4, 4], [4]], 0)
    with pytest.raises(
        UserError, match="p=2 identities cannot hold 3 sources; raise the recipe's identities, the P of PxK$"
    ):
        BalancedSampler(labels, sources, 2, 2, seed=0)
    with pytest.raises(
        UserError, match="data set 3 of the 3 that .* has 1 identities, .* takes 2 of them; lower the recipe's"
    ):
        BalancedSampler(labels, sources, 4, 2, seed=0)
    with pytest.raises(UserError, match="label occurs in two sources"):
        BalancedSampler(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 0]), 2, 2, seed=0)
    with pytest.raises(UserError, match="4 images but 1 sources"):
        BalancedSampler(torch.tensor([0, 0, 1, 1]), torch.tensor([0]), 2, 2, seed=0)
