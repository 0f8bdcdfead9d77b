"""Circle loss against a loop and pytorch-metric-learning."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.losses import CircleLoss
from pytorch_metric_learning.reducers import MeanReducer
from torch.nn import functional as F

from reid.losses.circle import circle_loss


def _reference(features, labels, margin: float, scale: float) -> float:
    """Equation 6 of the paper, an anchor at a time."""
    rows = [[x / max(math.hypot(*row), 1e-12) for x in row] for row in features]
    losses = []
    for a, anchor in enumerate(rows):
        cosines = [sum(x * y for x, y in zip(anchor, row, strict=True)) for row in rows]
        positives = [s for i, s in enumerate(cosines) if i != a and labels[i] == labels[a]]
        negatives = [s for i, s in enumerate(cosines) if labels[i] != labels[a]]
        if positives and negatives:
            pull = sum(math.exp(-scale * max(0.0, 1 + margin - s) * (s - (1 - margin))) for s in positives)
            push = sum(math.exp(scale * max(0.0, s + margin) * (s - margin)) for s in negatives)
            losses.append(math.log1p(push * pull))
    return sum(losses) / len(losses) if losses else 0.0


@st.composite
def batches(draw):
    count = draw(st.integers(1, 8))
    labels = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    coordinates = st.lists(st.integers(-2, 2).map(float), min_size=2, max_size=2)
    return draw(st.lists(coordinates, min_size=count, max_size=count)), labels


@example(([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 2.0]], [0, 1, 2, 0]), 0.0, 64.0)  # a loss just above 20
@given(batches(), st.sampled_from([0.0, 0.25, 0.4]), st.sampled_from([1.0, 64.0]))
@settings(max_examples=150, deadline=None)
def test_against_a_loop(batch, margin, scale):
    features, labels = batch
    tensor = torch.tensor(features).double().requires_grad_()
    loss = circle_loss(tensor, torch.tensor(labels), margin, scale)
    loss.backward()
    # torch's softplus is the identity above 20, which is off by at most exp(-20).
    assert float(loss.detach()) == pytest.approx(_reference(features, labels, margin, scale), abs=1e-9 + math.exp(-20))
    assert tensor.grad.isfinite().all()


@pytest.mark.parametrize("labels", [torch.arange(24) // 4, torch.tensor([0] * 5 + [1] * 2 + [2] * 16 + [3])])
@pytest.mark.parametrize("margin, scale", [(0.25, 128.0), (0.4, 80.0), (0.25, 8.0)])
def test_against_pytorch_metric_learning(labels, margin, scale):
    """Its mean reducer divides by all anchors, also by those without a positive, which have a loss of zero there."""
    features = torch.randn(24, 16, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    complete = sum(int((labels == label).sum() > 1) for label in labels)
    wanted = CircleLoss(margin, scale, reducer=MeanReducer())(features, labels) * 24 / complete
    loss = circle_loss(features, labels, margin, scale)
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(*(torch.autograd.grad(each, features)[0] for each in (loss, wanted)))


def test_as_fast_reid_has_it():
    """``pairwise_circleloss``: masked logits at -99999999, soft plus of the two log-sum-exps, mean over the anchors."""
    features = torch.randn(16, 8, generator=torch.Generator().manual_seed(1)).double()
    labels, gamma, margin = torch.arange(16) // 4, 64.0, 0.25
    unit = F.normalize(features, dim=1)
    similarity = unit @ unit.T
    is_positive = (labels[:, None] == labels).double() - torch.eye(16).double()
    is_negative = (labels[:, None] != labels).double()
    s_p, s_n = similarity * is_positive, similarity * is_negative
    logit_p = -gamma * (1 + margin - s_p).clamp_min(0) * (s_p - 1 + margin) - 99999999.0 * (1 - is_positive)
    logit_n = gamma * (s_n + margin).clamp_min(0) * (s_n - margin) - 99999999.0 * (1 - is_negative)
    wanted = F.softplus(logit_p.logsumexp(1) + logit_n.logsumexp(1)).mean()
    torch.testing.assert_close(circle_loss(features, labels, margin, gamma), wanted)


@pytest.mark.parametrize("labels", [[5, 5, 5, 5], [0, 1, 2, 3], [0]])
def test_without_a_pair_of_pairs_it_is_zero(labels):
    features = torch.randn(len(labels), 3, requires_grad=True)
    loss = circle_loss(features, torch.tensor(labels), 0.25, 64.0)
    loss.backward()
    assert float(loss.detach()) == 0.0 and not features.grad.any()


def test_well_apart_is_near_zero_and_upside_down_is_large():
    near = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    # The positive: 64 * 0.25 * -0.25; the two negatives: 64 * 0.25 * -0.25 each.
    wanted = math.log1p(2 * math.exp(-8.0))
    assert float(circle_loss(near, torch.tensor([0, 0, 1, 1]), 0.25, 64.0)) == pytest.approx(wanted, rel=1e-4)
    # Positives orthogonal: 64 * 1.25 * 0.75 = 60; negatives equal and orthogonal: 60 and -4.
    assert float(circle_loss(near, torch.tensor([0, 1, 0, 1]), 0.25, 64.0)) == pytest.approx(120.0, rel=1e-4)
