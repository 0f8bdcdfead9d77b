"""Margin softmax against loops, pytorch-metric-learning's CosFace and the circle loss's own equation."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.losses import CosFaceLoss
from torch.nn import functional as F

from reid.losses.angular import am_softmax_logits, circle_softmax_logits, least_loss, margin_at
from reid.losses.config import ClassificationConfig
from reid.losses.cross_entropy import smoothed_cross_entropy


def _am_softmax(cosine, is_label, scale, margin):
    return scale * (cosine - margin) if is_label else scale * cosine


def _circle(cosine, is_label, scale, margin):
    if is_label:
        return scale * max(0.0, 1 + margin - cosine) * (cosine - (1 - margin))
    return scale * max(0.0, cosine + margin) * (cosine - margin)


FUNCTIONS = [(am_softmax_logits, _am_softmax), (circle_softmax_logits, _circle)]


@st.composite
def batches(draw):
    count, classes = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    row = st.lists(st.integers(-4, 4).map(lambda k: k / 4), min_size=classes, max_size=classes)
    labels = st.lists(st.integers(0, classes - 1), min_size=count, max_size=count)
    return draw(st.lists(row, min_size=count, max_size=count)), draw(labels)


@pytest.mark.parametrize("function, formula", FUNCTIONS)
@given(batch=batches(), scale=st.sampled_from([1.0, 30.0]), margin=st.sampled_from([0.0, 0.25, 0.35]))
@settings(max_examples=80, deadline=None)
def test_against_loops(function, formula, batch, scale, margin):
    cosines, labels = batch
    got = function(torch.tensor(cosines).double(), torch.tensor(labels), scale, margin).tolist()
    for row, cosine_row, label in zip(got, cosines, labels, strict=True):
        assert row == pytest.approx([formula(c, k == label, scale, margin) for k, c in enumerate(cosine_row)])


def _random(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(16, 8, generator=generator).double().requires_grad_()
    weights = torch.randn(6, 8, generator=generator).double()
    return features, weights, torch.randint(6, (16,), generator=generator)


@pytest.mark.parametrize("scale, margin", [(30.0, 0.35), (64.0, 0.0), (10.0, 0.5)])
def test_am_softmax_against_pytorch_metric_learning(scale, margin):
    features, weights, labels = _random()
    peer = CosFaceLoss(6, 8, margin=margin, scale=scale).double()
    peer.W.data = weights.T.contiguous()
    cosines = F.normalize(features, dim=1) @ F.normalize(weights, dim=1).T
    loss = F.cross_entropy(am_softmax_logits(cosines, labels, scale, margin), labels)
    wanted = peer(features, labels)
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(*(torch.autograd.grad(each, features)[0] for each in (loss, wanted)))


def test_circle_softmax_is_the_papers_equation():
    """``log(1 + sum_n exp(gamma a_n (s_n - m)) * exp(-gamma a_p (s_p - 1 + m)))`` is the logits' cross-entropy."""
    features, weights, labels = _random()
    cosines = (F.normalize(features, dim=1) @ F.normalize(weights, dim=1).T).detach()
    gamma, m, total = 16.0, 0.25, 0.0
    for row, label in zip(cosines.tolist(), labels.tolist(), strict=True):
        positive = math.exp(-gamma * max(0.0, 1 + m - row[label]) * (row[label] - (1 - m)))
        others = [s for k, s in enumerate(row) if k != label]
        total += math.log1p(sum(math.exp(gamma * max(0.0, s + m) * (s - m)) for s in others) * positive)
    loss = F.cross_entropy(circle_softmax_logits(cosines, labels, gamma, m), labels)
    assert float(loss) == pytest.approx(total / len(labels))


def test_am_softmax_gradient_is_the_derivative():
    cosines = torch.rand(4, 5, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    labels = torch.tensor([0, 4, 2, 2])

    def loss(x):
        return smoothed_cross_entropy(am_softmax_logits(x, labels, 8.0, 0.35), labels, 0.1)

    assert torch.autograd.gradcheck(loss, cosines)


def test_circle_weights_carry_no_gradient():
    """The derivative of a logit by its cosine is the scale times the weight, 1.25 - s or s + 0.25."""
    cosines = torch.tensor([[0.5, -0.5, 0.2]], requires_grad=True)
    circle_softmax_logits(cosines, torch.tensor([0]), 10.0, 0.25).sum().backward()
    torch.testing.assert_close(cosines.grad, torch.tensor([[7.5, 0.0, 4.5]]))


def test_the_input_is_left_as_it_was():
    cosines = torch.rand(3, 4)
    before = cosines.clone()
    for function, _ in FUNCTIONS:
        function(cosines, torch.tensor([0, 1, 2]), 30.0, 0.35)
    assert cosines.equal(before)


@pytest.mark.parametrize(
    "epoch, margin", [(0.0, 0.1), (2.0, 0.1 + 0.4 / 5), (5.0, 0.3), (9.5, 0.1 + 0.4 * 0.95), (10.0, 0.5), (99.0, 0.5)]
)
def test_margin_schedule(epoch, margin):
    config = ClassificationConfig(margin=0.5, margin_start=0.1, margin_warmup=10.0)
    assert margin_at(config, epoch) == pytest.approx(margin)


def test_no_warmup_is_the_margin_from_the_start():
    assert margin_at(ClassificationConfig(margin=0.35), 0.0) == 0.35


@pytest.mark.parametrize(
    ("kind", "function"), [("am_softmax", am_softmax_logits), ("circle", circle_softmax_logits)], ids=["am", "circle"]
)
@pytest.mark.parametrize(("scale", "margin"), [(30.0, 0.35), (64.0, 0.35), (128.0, 0.25), (5.0, 0.0)])
def test_least_loss_is_that_of_the_best_features(kind, function, scale, margin):
    cosines, labels = torch.eye(751, dtype=torch.float64)[:4], torch.arange(4)
    wanted = F.cross_entropy(function(cosines, labels, scale, margin), labels)
    config = ClassificationConfig(kind=kind, scale=scale, margin=margin)
    assert least_loss(config, 751) == pytest.approx(float(wanted), abs=1e-6)
    assert least_loss(ClassificationConfig(scale=scale), 751) == 0.0
