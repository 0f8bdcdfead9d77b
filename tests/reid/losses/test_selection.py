"""Selected negatives against loops, pytorch-metric-learning's miners and the chance they are drawn with."""

from __future__ import annotations

import math
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.miners import BatchEasyHardMiner, TripletMarginMiner
from scipy.stats import chisquare

from reid.losses.pairs import pair_masks, pairwise_euclidean
from reid.losses.selection import random_negatives, semi_hard_negatives


@st.composite
def batches(draw):
    """``(features, labels)``: few coordinates, so that equal distances are common; identities of any size."""
    count = draw(st.integers(1, 8))
    labels = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    coordinates = st.lists(st.integers(-2, 2).map(float), min_size=2, max_size=2)
    return draw(st.lists(coordinates, min_size=count, max_size=count)), labels


def _distances(features) -> list[list[float]]:
    return [[max(math.dist(a, b), 1e-6) for b in features] for a in features]


def _columns(labels):
    """Every anchor with every other image, as the answers are for."""
    return [(a, b) for a in range(len(labels)) for b in range(len(labels)) if a != b]


def _pairs(labels):
    return [(a, p) for a in range(len(labels)) for p in range(len(labels)) if a != p and labels[a] == labels[p]]


@given(batches())
@settings(max_examples=150, deadline=None)
def test_semi_hard_against_a_loop(batch):
    features, labels = batch
    distances = _distances(features)
    index, found = semi_hard_negatives(
        pairwise_euclidean(torch.tensor(features).double()), pair_masks(torch.tensor(labels))[1]
    )
    for anchor, positive in _columns(labels):
        negatives = [n for n in range(len(labels)) if labels[n] != labels[anchor]]
        assert bool(found[anchor, positive]) == bool(negatives)
        if negatives:
            own = distances[anchor]
            farther = [own[n] for n in negatives if own[n] > own[positive]]
            wanted = min(farther) if farther else max(own[n] for n in negatives)
            chosen = int(index[anchor, positive])
            assert chosen in negatives and own[chosen] == wanted


@given(batches(), st.sampled_from([None, 0.0, 0.5, 10.0]), st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_random_negatives_are_among_those_with_a_loss(batch, margin, seed):
    features, labels = batch
    distances = _distances(features)
    index, found = random_negatives(
        pairwise_euclidean(torch.tensor(features).double()),
        pair_masks(torch.tensor(labels))[1],
        margin,
        torch.Generator().manual_seed(seed),
    )
    for anchor, positive in _columns(labels):
        own = distances[anchor]
        limit = math.inf if margin is None else own[positive] + margin
        eligible = [n for n in range(len(labels)) if labels[n] != labels[anchor] and own[n] < limit]
        assert bool(found[anchor, positive]) == bool(eligible)
        if eligible:
            assert int(index[anchor, positive]) in eligible


def test_each_of_those_is_as_likely():
    """One anchor-positive pair at distance 1, negatives at 0.5, 1.5, 1.5 and 3: with margin 1 the first three."""
    features = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-0.5, 0.0], [0.0, 1.5], [0.0, -1.5], [-3.0, 0.0]])
    negatives = pair_masks(torch.tensor([0, 0, 1, 1, 2, 2]))[1]
    distances = pairwise_euclidean(features)
    counts = [0] * 6
    for seed in range(3000):
        counts[int(random_negatives(distances, negatives, 1.0, torch.Generator().manual_seed(seed)).index[0, 1])] += 1
    assert counts[0] == counts[1] == counts[5] == 0
    assert chisquare(counts[2:5]).pvalue > 1e-3


def test_pairs_draw_independently_of_each_other():
    """Two anchors with the same positive, and for each the same two negatives: all four outcomes are as likely."""
    features = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    distances, negatives = pairwise_euclidean(features), pair_masks(torch.tensor([0, 0, 0, 1, 1]))[1]
    for first, second in (((0, 2), (1, 2)), ((2, 0), (2, 1))):  # in a column, in a row
        counts = {(a, b): 0 for a in (3, 4) for b in (3, 4)}
        for seed in range(1000):
            index = random_negatives(distances, negatives, None, torch.Generator().manual_seed(seed)).index
            counts[int(index[first]), int(index[second])] += 1
        assert chisquare(list(counts.values())).pvalue > 1e-3


def test_the_greatest_draw_is_the_last_negative():
    """Of any number of them: a product that rounded up to the number would name one too many."""
    distances = torch.arange(601.0).expand(601, -1)
    negatives = torch.ones(601, 601).tril(-1).bool()  # row n has n of them, in the columns before it
    with mock.patch.object(torch, "rand", lambda shape, **_: torch.full(shape, 1 - 2.0**-24)):
        index, found = random_negatives(distances, negatives, None, torch.Generator())
    assert index[1:, 0].tolist() == list(range(600)) and found[1:].all()


def test_the_draw_is_the_generators_alone():
    generator = torch.Generator().manual_seed(5)
    distances = pairwise_euclidean(torch.randn(32, 4, generator=generator))
    negatives = pair_masks(torch.arange(32) // 4)[1]
    state = torch.get_rng_state()
    first = random_negatives(distances, negatives, None, torch.Generator().manual_seed(1)).index
    assert first.equal(random_negatives(distances, negatives, None, torch.Generator().manual_seed(1)).index)
    assert not first.equal(random_negatives(distances, negatives, None, torch.Generator().manual_seed(2)).index)
    assert torch.get_rng_state().equal(state)


def _random_batch(instances: int):
    features = torch.randn(24, 8, generator=torch.Generator().manual_seed(instances)).double()
    labels = torch.arange(24) // instances
    return features, labels, LpDistance(normalize_embeddings=False)


def test_semi_hard_against_pytorch_metric_learning():
    """Its miner takes the hardest positive; with two images an identity that is the only one."""
    features, labels, distance = _random_batch(2)
    mined = BatchEasyHardMiner("hard", "semihard", distance=distance)(features, labels)
    anchors, positives, _, negatives = (column.tolist() for column in mined)
    index = semi_hard_negatives(pairwise_euclidean(features), pair_masks(labels)[1]).index
    assert len(anchors) > 10
    assert [int(index[a, p]) for a, p in zip(anchors, positives, strict=True)] == negatives


@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_random_negatives_against_pytorch_metric_learning(margin):
    """Over many draws: exactly the triplets that its miner says violate the margin."""
    features, labels, distance = _random_batch(4)
    mined = TripletMarginMiner(margin, "all", distance=distance)(features, labels)
    wanted = set(zip(*(column.tolist() for column in mined), strict=True))
    distances, (_, negatives), drawn = pairwise_euclidean(features), pair_masks(labels), set()
    for seed in range(300):
        index, found = random_negatives(distances, negatives, margin, torch.Generator().manual_seed(seed))
        drawn |= {(a, p, int(index[a, p])) for a, p in _pairs(labels.tolist()) if found[a, p]}
    assert drawn == wanted
