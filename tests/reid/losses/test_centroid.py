"""Centroid triplet loss against a loop and pytorch-metric-learning's triplet margin loss on explicit triplets."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.reducers import MeanReducer

from reid.losses.centroid import centroid_triplet_loss


def _mean(rows):
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def _reference(features, labels, margin: float) -> float:
    losses = []
    for a, row in enumerate(features):
        own = [f for i, f in enumerate(features) if labels[i] == labels[a] and i != a]
        others = {
            label: [f for f, k in zip(features, labels, strict=True) if k == label]
            for label in set(labels) - {labels[a]}
        }
        if own and others:
            nearest = min(math.dist(row, _mean(members)) for members in others.values())
            losses.append(max(0.0, math.dist(row, _mean(own)) - nearest + margin))
    return sum(losses) / len(losses) if losses else 0.0


@st.composite
def batches(draw):
    count = draw(st.integers(1, 9))
    labels = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    coordinates = st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=2)
    return draw(st.lists(coordinates, min_size=count, max_size=count)), labels


@given(batches(), st.sampled_from([0.0, 0.3, 2.0]))
@settings(max_examples=200, deadline=None)
def test_against_a_loop(batch, margin):
    features, labels = batch
    tensor = torch.tensor(features).double().requires_grad_()
    loss = centroid_triplet_loss(tensor, torch.tensor(labels), margin)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(_reference(features, labels, margin), abs=1e-5)
    assert tensor.grad.isfinite().all()


def test_by_hand():
    """On a line: identity 0 at 0, 2 and 4, identity 1 at 5 and 9. Own centroids 3, 2, 1, 9, 5; others 7 and 2."""
    features = torch.tensor([[0.0], [2.0], [4.0], [5.0], [9.0]])
    loss = centroid_triplet_loss(features, torch.tensor([0, 0, 0, 1, 1]), 1.0)
    assert float(loss) == pytest.approx((0 + 0 + (3 - 3 + 1) + (4 - 3 + 1) + 0) / 5, abs=1e-5)


def test_against_pytorch_metric_learning():
    """Its triplet loss over images, own centroids and identities' centroids, told the nearest other centroid."""
    features = torch.randn(24, 8, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    labels = torch.arange(24) // 4
    groups = features.view(6, 4, 8)
    own = (groups.sum(1, keepdim=True) - groups) / 3
    centroids = groups.mean(1)
    to_others = torch.cdist(features, centroids).masked_fill(labels[:, None] == torch.arange(6), float("inf"))
    everything = torch.cat([features, own.reshape(24, 8), centroids])
    triplets = (torch.arange(24), torch.arange(24, 48), 48 + to_others.argmin(1))
    peer = TripletMarginLoss(1.0, distance=LpDistance(normalize_embeddings=False), reducer=MeanReducer())
    wanted = peer(everything, torch.cat([labels, labels, torch.arange(6)]), triplets)
    loss = centroid_triplet_loss(features, labels, 1.0)
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(*(torch.autograd.grad(each, features)[0] for each in (loss, wanted)))


def test_gradient_is_the_derivative():
    features = torch.randn(8, 3, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
    assert torch.autograd.gradcheck(lambda x: centroid_triplet_loss(x, labels, 5.0), features)


def test_float32():
    features = torch.randn(32, 64, generator=torch.Generator().manual_seed(2)) * 3
    labels = torch.arange(32) // 4
    wanted = _reference(features.tolist(), labels.tolist(), 0.3)
    assert float(centroid_triplet_loss(features, labels, 0.3)) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("labels", [[5, 5, 5, 5], [0, 1, 2, 3], [0]])
def test_without_centroids_it_is_zero(labels):
    features = torch.randn(len(labels), 3, requires_grad=True)
    loss = centroid_triplet_loss(features, torch.tensor(labels), 0.3)
    loss.backward()
    assert float(loss.detach()) == 0.0 and not features.grad.any()


def test_identical_features():
    features = torch.full((6, 4), 0.5, requires_grad=True)
    loss = centroid_triplet_loss(features, torch.tensor([0, 0, 1, 1, 2, 2]), 0.3)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.3, abs=1e-3)
    assert features.grad.isfinite().all()
