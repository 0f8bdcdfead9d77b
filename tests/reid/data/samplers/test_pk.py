from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reid.data.samplers import PKSampler
from reid.errors import UserError

counts_lists = st.lists(st.integers(1, 40), min_size=2, max_size=25)


def labels_of(counts: list[int], seed: int) -> torch.Tensor:
    """Labels 3, 10, 17, ... in random order, so that nothing can rely on 0..C-1 or on sorting."""
    labels = torch.repeat_interleave(torch.arange(len(counts)) * 7 + 3, torch.tensor(counts))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


@settings(max_examples=150, deadline=None)
@given(
    counts=counts_lists,
    p=st.integers(1, 8),
    k=st.integers(1, 6),
    seed=st.integers(0, 2**40),
    e=st.integers(0, 99),
)
def test_batches_have_p_identities_with_k_images(counts, p, k, seed, e):
    assume(p <= len(counts))
    labels = labels_of(counts, seed % 1000)
    sampler = PKSampler(labels, p, k, seed)
    epoch = sampler.epoch(e)
    assert len(epoch) == sampler.batches_per_epoch == -(-sum(-(-n // k) for n in counts) // p)
    size_of = Counter(labels.tolist())
    for batch in epoch:
        assert batch.shape == (p * k,) and batch.dtype == torch.int64
        groups = labels[batch].view(p, k)
        assert (groups == groups[:, :1]).all()
        assert len(set(groups[:, 0].tolist())) == p
        for row, label in zip(batch.view(p, k), groups[:, 0].tolist(), strict=True):
            # No image twice before the identity's images are used up, and then as evenly as possible.
            assert max(Counter(row.tolist()).values()) == -(-k // size_of[label])
            assert len(set(row.tolist())) == min(k, size_of[label])


@settings(max_examples=150, deadline=None)
@given(counts=counts_lists, p=st.integers(1, 8), k=st.integers(1, 6), seed=st.integers(0, 2**40))
def test_an_epoch_shows_every_image_but_of_oversized_identities(counts, p, k, seed):
    assume(p <= len(counts))
    labels = labels_of(counts, seed % 1000)
    sampler = PKSampler(labels, p, k, seed)
    shown = Counter(torch.cat(sampler.epoch(0)).tolist())
    for label in torch.unique(labels):
        images = (labels == label).nonzero()[:, 0].tolist()
        seen = sum(image in shown for image in images)
        assert seen == min(len(images), sampler.batches_per_epoch * k)


def test_coverage_and_length_beside_torchreid_rules():
    """At sizes like Market-1501's: every image, where dropping incomplete chunks loses many."""
    counts = torch.randint(2, 40, (300,), generator=torch.Generator().manual_seed(0)).tolist()
    sampler = PKSampler(labels_of(counts, 0), 16, 4, seed=0)
    shown = torch.cat(sampler.epoch(0)).unique()
    kept_by_dropping = sum(n if n < 4 else n - n % 4 for n in counts)
    assert len(shown) == sum(counts) > kept_by_dropping
    assert sampler.batches_per_epoch <= 1.1 * sum(counts) / 64


def test_deterministic_for_seed_and_epoch_only():
    labels = labels_of([5, 9, 4, 7, 8, 3], 0)
    sampler = PKSampler(labels, 3, 2, seed=11)
    first = torch.stack(sampler.epoch(4))
    sampler.epoch(5)
    assert torch.equal(first, torch.stack(sampler.epoch(4)))
    assert torch.equal(first, torch.stack(PKSampler(labels, 3, 2, seed=11).epoch(4)))
    assert not torch.equal(first, torch.stack(sampler.epoch(5)))
    assert not torch.equal(first, torch.stack(PKSampler(labels, 3, 2, seed=12).epoch(4)))


def test_pairs_of_identities_vary_within_an_epoch():
    """With equal sizes any two identities should meet: batches are not blocks of fixed identities."""
    labels = labels_of([40] * 8, 0)
    met = set()
    for batch in PKSampler(labels, 4, 2, seed=0).epoch(0):
        present = labels[batch].unique().tolist()
        met |= {(a, b) for a in present for b in present if a < b}
    assert len(met) == 8 * 7 // 2


def test_oversized_identity_gives_other_images_each_epoch():
    labels = torch.tensor([0] * 500 + [1] * 4 + [2] * 4)
    sampler = PKSampler(labels, 2, 4, seed=0)
    seen = set()
    for e in range(15):
        seen |= {index for index in torch.cat(sampler.epoch(e)).tolist() if index < 500}
    assert len(seen) > sampler.batches_per_epoch * 4
    assert len(seen) > 490


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_split_each_batch_by_identity(world_size):
    labels = labels_of([5, 9, 4, 7, 8, 3, 6, 6], 0)
    whole = PKSampler(labels, 4, 3, seed=2).epoch(1)
    ranks = [PKSampler(labels, 4, 3, 2, rank, world_size).epoch(1) for rank in range(world_size)]
    for batch, *shares in zip(whole, *ranks, strict=True):
        assert torch.equal(batch, torch.cat(shares))
        assert all(len(share) == 12 // world_size for share in shares)


def test_refuses():
    labels = torch.tensor([1, 1, 2, 2, 5])
    with pytest.raises(UserError, match="p=4 identities cannot be drawn from 3"):
        PKSampler(labels, 4, 2, seed=0)
    for p, rank in ((3, 0), (2, 2), (2, -1)):
        with pytest.raises(
            UserError,
            match="split over 2 processes; make the recipe's identities, the P of PxK, a multiple of that number$",
        ):
            PKSampler(labels, p, 2, seed=0, rank=rank, world_size=2)
    for p, k, seed in ((2, 0, 0), (0, 2, 0), (2, 2, -1)):
        with pytest.raises(UserError, match=f"p={p}, k={k}, seed={seed}: "):
            PKSampler(labels, p, k, seed)


def test_draws_are_the_same_in_every_version():
    """A run that is resumed with a later version must draw what the one that began it would have drawn."""
    sampler = PKSampler(torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 1]), 2, 2, seed=1)
    assert [batch.tolist() for batch in sampler.epoch(3)] == [[1, 8, 0, 6], [4, 1, 7, 3], [5, 2, 0, 6]]
