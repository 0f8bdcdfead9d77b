"""The triplet loss against loops over anchors, positives and negatives, and against pytorch-metric-learning."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import MeanReducer
from torch.nn import functional as F

from reid.losses.config import TripletConfig
from reid.losses.pairs import pair_masks, pairwise_euclidean
from reid.losses.selection import random_negatives
from reid.losses.triplet import batch_hard_triplet, triplet_loss

SELECTIONS = ("batch_hard", "weighted", "semi_hard", "random_negative")


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _reference(features, labels, config: TripletConfig, seed: int = 0, slack: float = 0.0):
    """Loss, active share, mean hardest positive and mean hardest negative distance, by plain loops in float64.

    ``slack`` widens the margin by which a triplet counts as active.
    """
    everyone, margin = range(len(labels)), config.margin
    if config.normalize:
        features = [[x / max(math.hypot(*row), 1e-12) for x in row] for row in features]
    distance = [[max(math.dist(a, b), 1e-6) for b in features] for a in features]
    losses, active, farthest, nearest = [], [], [], []
    for a in everyone:
        positives = [distance[a][p] for p in everyone if p != a and labels[p] == labels[a]]
        negatives = [distance[a][n] for n in everyone if labels[n] != labels[a]]
        if not positives or not negatives:
            continue
        farthest.append(max(positives))
        nearest.append(min(negatives))
        if config.selection == "batch_hard":
            triplets = [(max(positives), min(negatives))]
        elif config.selection == "weighted":
            triplets = [(_softmax_mean(positives, 1), _softmax_mean(negatives, -1))]
        elif config.selection == "semi_hard":
            triplets = [(p, min([n for n in negatives if n > p], default=max(negatives))) for p in positives]
        else:
            triplets = _drawn(a, distance, labels, margin, seed)
        for p, n in triplets:
            if n is None:
                active.append(False)
                continue
            losses.append(math.log1p(math.exp(p - n)) if margin is None else max(0.0, p - n + margin))
            active.append(p - n > -(margin or 0.0) - slack)
    return _mean(losses), _mean(active), _mean(farthest), _mean(nearest)


def _softmax_mean(values: list[float], sign: int) -> float:
    weights = [math.exp(sign * value) for value in values]
    return sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights)


def _drawn(a, distance, labels, margin, seed):
    """What is drawn is tested apart; here only what is made of it."""
    negatives = pair_masks(torch.tensor(labels))[1]
    generator = torch.Generator().manual_seed(seed)
    index, found = random_negatives(torch.tensor(distance).double(), negatives, margin, generator)
    positives = [p for p in range(len(labels)) if p != a and labels[p] == labels[a]]
    return [(distance[a][p], distance[a][int(index[a, p])] if found[a, p] else None) for p in positives]


@st.composite
def batches(draw):
    """Features on a coarse grid, so that ties and duplicates are common; identities of any size, also a single one."""
    count = draw(st.integers(1, 9))
    labels = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    coordinates = st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=2)
    return draw(st.lists(coordinates, min_size=count, max_size=count)), labels


@given(batches(), st.sampled_from(SELECTIONS), st.sampled_from([None, 0.0, 0.3, 2.0]))
@settings(max_examples=400, deadline=None)
def test_against_loops(batch, selection, margin):
    """In float64, where the grid's distances and their ties are exact. Only weighted means of equal distances are not:
    the order of their sum decides whether such a tie is active, so that either answer is right."""
    features, labels = batch
    config = TripletConfig(selection=selection, margin=margin)
    tensor = torch.tensor(features).double().requires_grad_()
    result = triplet_loss(tensor, torch.tensor(labels), config, torch.Generator().manual_seed(0))
    result.loss.backward()
    loss, active, positive, negative = (float(value.detach()) for value in result)
    slack = 1e-9 if selection == "weighted" else 0.0
    wanted = _reference(features, labels, config)
    assert (loss, positive, negative) == pytest.approx((wanted[0], *wanted[2:]), abs=1e-9)
    least, most = (_reference(features, labels, config, slack=sign * slack)[1] for sign in (-1, 1))
    assert least - 1e-9 <= active <= most + 1e-9
    assert tensor.grad.isfinite().all()


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("margin", [None, 0.3])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("scale", [0.1, 1.0, 20.0])
def test_random_batches(selection, margin, normalize, scale):
    config = TripletConfig(selection=selection, margin=margin, normalize=normalize)
    features = torch.randn(24, 32, generator=torch.Generator().manual_seed(0)) * scale
    labels = torch.arange(24) // 4
    result = triplet_loss(features, labels, config, torch.Generator().manual_seed(0))
    wanted = _reference(features.tolist(), labels.tolist(), config)
    assert [float(value) for value in result] == pytest.approx(wanted, rel=1e-4)
    assert float(result.gap) == pytest.approx(wanted[3] - wanted[2], rel=1e-3, abs=1e-4)


def test_by_hand():
    """On a line: identity 0 at 0 and 1, identity 1 at 3 and 7. Positives 1, 1, 4, 4; negatives 3, 2, 2, 6."""
    features = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    labels = torch.tensor([0, 0, 1, 1])
    result = batch_hard_triplet(features, labels, 1.5)
    assert float(result.loss) == pytest.approx((0 + 0.5 + 3.5 + 0) / 4, abs=1e-5)
    assert float(result.active) == 0.5
    assert float(result.positive) == pytest.approx(10 / 4)
    assert float(result.negative) == pytest.approx(13 / 4)
    assert float(result.gap) == pytest.approx((2 + 1 - 2 + 2) / 4, abs=1e-5)
    soft = batch_hard_triplet(features, labels, None)
    assert float(soft.loss) == pytest.approx(sum(math.log1p(math.exp(d)) for d in (-2, -1, 2, -2)) / 4, rel=1e-5)
    assert float(soft.active) == 0.25


def test_semi_hard_by_hand():
    """The same line. Semi-hard negatives of the pairs: 3, 2, none (so the farthest, 3) and 6."""
    features = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    result = triplet_loss(features, torch.tensor([0, 0, 1, 1]), TripletConfig(selection="semi_hard", margin=1.5))
    assert float(result.loss) == pytest.approx((0 + 0.5 + 2.5 + 0) / 4, abs=1e-5)
    assert float(result.active) == 0.5


def test_gradient_by_hand():
    """Only anchors 1 and 2 of the batch above are active: their pulls and pushes, divided by four."""
    features = torch.tensor([[0.0], [1.0], [3.0], [7.0]], requires_grad=True)
    batch_hard_triplet(features, torch.tensor([0, 0, 1, 1]), 1.5).loss.backward()
    # Anchor 1: |1-0| - |1-3|; anchor 2: |3-7| - |3-1|.
    wanted = torch.tensor([[-1.0], [1.0 + 1.0 + 1.0], [-1.0 - 1.0 - 1.0], [1.0]]) / 4
    torch.testing.assert_close(features.grad, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_gradient_is_the_derivative(selection):
    features = torch.randn(8, 3, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
    config = TripletConfig(selection=selection, margin=None, normalize=True)

    def loss(x):
        return triplet_loss(x, torch.arange(8) // 2, config, torch.Generator().manual_seed(0)).loss

    assert torch.autograd.gradcheck(loss, features)


@pytest.mark.parametrize("margin", [None, 0.3, 3.0])
def test_batch_hard_against_pytorch_metric_learning(margin):
    features = torch.randn(32, 16, generator=torch.Generator().manual_seed(2)).double().requires_grad_()
    labels = torch.arange(32) // 4
    distance = LpDistance(normalize_embeddings=False)
    peer = TripletMarginLoss(margin or 0.0, smooth_loss=margin is None, distance=distance, reducer=MeanReducer())
    wanted = peer(features, labels, BatchHardMiner(distance=distance)(features, labels))
    loss = batch_hard_triplet(features, labels, margin).loss
    torch.testing.assert_close(loss, wanted)
    ours, theirs = (torch.autograd.grad(each, features)[0] for each in (loss, wanted))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_semi_hard_against_tensorflow_addons(margin):
    """Its ``triplet_semihard_loss`` as its source has it: every pair tiled against every other image."""
    features = F.normalize(torch.randn(20, 3, generator=torch.Generator().manual_seed(3)).double(), dim=1)
    labels = torch.arange(20) // 4
    distances = torch.cdist(features, features)
    adjacent = labels[:, None] == labels[None, :]
    tiled = distances.repeat(20, 1)  # row p * 20 + a: the distances of a
    outside = ~adjacent.repeat(20, 1) & (tiled > distances.T.reshape(-1, 1))
    top, low = tiled.amax(1, keepdim=True), tiled.amin(1, keepdim=True)
    outer = (((tiled - top) * outside).amin(1, keepdim=True) + top).reshape(20, 20).T
    inner = ((tiled - low) * ~adjacent.repeat(20, 1)).amax(1, keepdim=True) + low
    semi_hard = torch.where(outside.any(1).reshape(20, 20).T, outer, inner.reshape(20, 20).T)
    positives = adjacent.double() - torch.eye(20).double()
    wanted = ((margin + distances - semi_hard) * positives).clamp_min(0).sum() / positives.sum()
    loss = triplet_loss(features, labels, TripletConfig(selection="semi_hard", margin=margin)).loss
    torch.testing.assert_close(loss, wanted)


def test_random_negatives_have_the_expected_mean():
    """Over many draws the loss comes to the mean over pairs of the mean over their violating negatives."""
    features = torch.randn(12, 4, generator=torch.Generator().manual_seed(4)).double()
    labels, config = torch.arange(12) // 3, TripletConfig(selection="random_negative", margin=0.5)
    distances = torch.cdist(features, features)
    pairs = []
    for a in range(12):
        for p in range(12):
            each = distances[a, p] - distances[a][labels != labels[a]] + 0.5
            if p != a and labels[p] == labels[a] and (each > 0).any():
                pairs.append(float(each[each > 0].mean()))
    draws = [float(triplet_loss(features, labels, config, torch.Generator().manual_seed(s)).loss) for s in range(1000)]
    assert np.mean(draws) == pytest.approx(np.mean(pairs), abs=4 * np.std(draws) / math.sqrt(1000))


@pytest.mark.parametrize("margin", [None, 0.3])
@pytest.mark.parametrize("selection", SELECTIONS)
def test_identical_features(selection, margin):
    features = torch.full((6, 4), 0.5, requires_grad=True)
    config = TripletConfig(selection=selection, margin=margin)
    result = triplet_loss(features, torch.tensor([0, 0, 1, 1, 2, 2]), config, torch.Generator())
    result.loss.backward()
    assert float(result.loss.detach()) == pytest.approx(math.log(2) if margin is None else 0.3, abs=1e-5)
    assert features.grad.isfinite().all()


@pytest.mark.parametrize("labels", [[5, 5, 5, 5], [0, 1, 2, 3], [0]])
@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("margin", [None, 0.3])
def test_without_a_triplet_all_is_zero(labels, selection, margin):
    features = torch.randn(len(labels), 3, requires_grad=True)
    config = TripletConfig(selection=selection, margin=margin)
    result = triplet_loss(features, torch.tensor(labels), config, torch.Generator())
    result.loss.backward()
    assert [float(value.detach()) for value in result] == [0, 0, 0, 0]
    assert not features.grad.any()


def test_an_image_without_a_positive_is_a_negative_only():
    features = torch.tensor([[0.0], [1.0], [3.0]])
    result = batch_hard_triplet(features, torch.tensor([0, 0, 1]), 1.5)
    assert float(result.loss) == pytest.approx((0 + 0.5) / 2, abs=1e-5)
    assert float(result.negative) == pytest.approx(2.5)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_signs_carry_no_gradient(selection):
    features = torch.randn(4, 3, requires_grad=True)
    config = TripletConfig(selection=selection)
    result = triplet_loss(features, torch.tensor([0, 0, 1, 1]), config, torch.Generator())
    assert result.loss.requires_grad
    assert not any(sign.requires_grad for sign in (result.active, result.positive, result.negative, result.gap))


def test_random_needs_a_generator():
    with pytest.raises(ValueError, match="generator"):
        triplet_loss(torch.zeros(4, 2), torch.tensor([0, 0, 1, 1]), TripletConfig(selection="random_negative"))


def test_distances_are_those_of_pairs():
    """The name is public here as well."""
    from reid.losses import triplet

    assert triplet.pairwise_euclidean is pairwise_euclidean
