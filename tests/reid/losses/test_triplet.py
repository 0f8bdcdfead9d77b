"""Batch-hard triplet loss against a loop over anchors, positives and negatives."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.losses.triplet import batch_hard_triplet, pairwise_euclidean


def _reference(features: np.ndarray, labels: list[int], margin: float | None):
    """Loss, share of active anchors and mean gap by plain loops in float64."""
    losses, active, gaps = [], [], []
    for a in range(len(labels)):
        farthest, nearest = 0.0, math.inf
        for other in range(len(labels)):
            distance = math.sqrt(sum((x - y) ** 2 for x, y in zip(features[a], features[other], strict=True)))
            if labels[other] == labels[a]:
                farthest = max(farthest, distance)
            else:
                nearest = min(nearest, distance)
        difference = farthest - nearest
        losses.append(math.log1p(math.exp(difference)) if margin is None else max(0.0, difference + margin))
        active.append(difference > -(margin or 0.0))
        gaps.append(-difference)
    return np.mean(losses), np.mean(active), np.mean(gaps)


@st.composite
def batches(draw):
    """Features on a coarse grid, so that ties and duplicates are common; at least two identities."""
    count = draw(st.integers(2, 9))
    labels = [0, 1, *draw(st.lists(st.integers(0, 3), min_size=count - 2, max_size=count - 2))]
    values = st.integers(-3, 3).map(float)
    features = draw(st.lists(st.lists(values, min_size=2, max_size=2), min_size=count, max_size=count))
    return np.array(features), labels


@given(batches(), st.sampled_from([None, 0.0, 0.3, 2.0]))
@settings(max_examples=150, deadline=None)
def test_against_loops(batch, margin):
    features, labels = batch
    loss, active, gap = _reference(features, labels, margin)
    result = batch_hard_triplet(torch.tensor(features), torch.tensor(labels), margin)
    assert float(result.loss) == pytest.approx(loss, abs=1e-5)
    assert float(result.gap) == pytest.approx(gap, abs=1e-5)
    if margin in (0.3, 2.0):  # else ties of float32 roundings decide; see the test of exact ties below
        on_the_edge = abs(_edges(features, labels) + margin) < 1e-5
        if not on_the_edge.any():
            assert float(result.active) == pytest.approx(active)


def _edges(features, labels) -> np.ndarray:
    """Hardest positive minus hardest negative distance of each anchor."""
    distances = np.linalg.norm(features[:, None] - features[None], axis=2)
    same = np.equal.outer(labels, labels)
    return np.where(same, distances, 0).max(1) - np.where(same, np.inf, distances).min(1)


@pytest.mark.parametrize("margin", [None, 0.3])
def test_random_batches(margin):
    generator = torch.Generator().manual_seed(0)
    for scale in (0.1, 1.0, 20.0):
        features = torch.randn(24, 32, generator=generator) * scale
        labels = torch.arange(24) // 4
        loss, active, gap = _reference(features.double().numpy(), labels.tolist(), margin)
        result = batch_hard_triplet(features, labels, margin)
        assert float(result.loss) == pytest.approx(loss, rel=1e-4)
        assert float(result.active) == pytest.approx(active)
        assert float(result.gap) == pytest.approx(gap, rel=1e-3, abs=1e-4)


def test_by_hand():
    """On a line: identity 0 at 0 and 1, identity 1 at 3 and 7. Positives 1, 1, 4, 4; negatives 3, 2, 2, 6."""
    features = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    labels = torch.tensor([0, 0, 1, 1])
    result = batch_hard_triplet(features, labels, 1.5)
    assert float(result.loss) == pytest.approx((0 + 0.5 + 3.5 + 0) / 4, abs=1e-5)
    assert float(result.active) == 0.5
    assert float(result.gap) == pytest.approx((2 + 1 - 2 + 2) / 4, abs=1e-5)
    soft = batch_hard_triplet(features, labels, None)
    assert float(soft.loss) == pytest.approx(sum(math.log1p(math.exp(d)) for d in (-2, -1, 2, -2)) / 4, rel=1e-5)
    assert float(soft.active) == 0.25


def test_gradient_by_hand():
    """Only anchors 1 and 2 of the batch above are active: their pulls and pushes, divided by four."""
    features = torch.tensor([[0.0], [1.0], [3.0], [7.0]], requires_grad=True)
    batch_hard_triplet(features, torch.tensor([0, 0, 1, 1]), 1.5).loss.backward()
    # Anchor 1: |1-0| - |1-3|; anchor 2: |3-7| - |3-1|.
    wanted = torch.tensor([[-1.0], [1.0 + 1.0 + 1.0], [-1.0 - 1.0 - 1.0], [1.0]]) / 4
    torch.testing.assert_close(features.grad, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("margin", [None, 0.3])
def test_identical_features_have_a_finite_gradient(margin):
    features = torch.full((6, 4), 0.5, requires_grad=True)
    result = batch_hard_triplet(features, torch.tensor([0, 0, 1, 1, 2, 2]), margin)
    result.loss.backward()
    assert float(result.loss.detach()) == pytest.approx(math.log(2) if margin is None else 0.3, abs=1e-5)
    assert features.grad.isfinite().all()


def test_signs_carry_no_gradient():
    features = torch.randn(4, 3, requires_grad=True)
    result = batch_hard_triplet(features, torch.tensor([0, 0, 1, 1]), 0.3)
    assert result.loss.requires_grad and not result.active.requires_grad and not result.gap.requires_grad


def test_distances_against_numpy():
    features = torch.randn(9, 16, generator=torch.Generator().manual_seed(3))
    wanted = np.linalg.norm(features.numpy()[:, None] - features.numpy()[None], axis=2)
    got = pairwise_euclidean(features).numpy()
    off = ~np.eye(9, dtype=bool)
    np.testing.assert_allclose(got[off], wanted[off], rtol=1e-4)
    assert got.diagonal().max() < 5e-3
