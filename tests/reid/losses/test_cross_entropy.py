"""Smoothed cross-entropy against its formula, in both definitions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.errors import UserError
from reid.losses.cross_entropy import smoothed_cross_entropy


def _reference(logits, labels, smoothing: float, over: str) -> list[float]:
    losses = []
    for row, label in zip(logits, labels, strict=True):
        normaliser, classes = math.log(sum(math.exp(value) for value in row)), len(row)
        loss = 0.0
        for column, value in enumerate(row):
            if over == "all":
                target = smoothing / classes + (1 - smoothing) * (column == label)
            else:
                target = 1 - smoothing if column == label else smoothing / (classes - 1)
            loss -= target * (value - normaliser)
        losses.append(loss)
    return losses


@st.composite
def batches(draw):
    count, classes = draw(st.integers(1, 5)), draw(st.integers(2, 5))
    row = st.lists(st.integers(-4, 4).map(float), min_size=classes, max_size=classes)
    labels = st.lists(st.integers(0, classes - 1), min_size=count, max_size=count)
    return draw(st.lists(row, min_size=count, max_size=count)), draw(labels)


@given(batches(), st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from(["all", "others"]))
@settings(max_examples=150, deadline=None)
def test_formula(batch, smoothing, over):
    logits, labels = batch
    wanted = _reference(logits, labels, smoothing, over)
    arguments = (torch.tensor(logits).double(), torch.tensor(labels), smoothing, over)
    assert smoothed_cross_entropy(*arguments, reduction="none").tolist() == pytest.approx(wanted)
    assert float(smoothed_cross_entropy(*arguments)) == pytest.approx(sum(wanted) / len(wanted))


@pytest.mark.parametrize("smoothing", [0.1, 0.3])
def test_as_published(smoothing):
    """``all`` as in the bag of tricks' code, ``others`` as in fast-reid's: explicit target matrices."""
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(16, 751, generator=generator) * 3, torch.randint(751, (16,), generator=generator)
    log_probabilities = logits.log_softmax(1)
    one_hot = torch.zeros(16, 751).scatter_(1, labels[:, None], 1)
    bag_of_tricks = (1 - smoothing) * one_hot + smoothing / 751
    fast_reid = torch.full((16, 751), smoothing / 750).scatter_(1, labels[:, None], 1 - smoothing)
    for over, target in (("all", bag_of_tricks), ("others", fast_reid)):
        wanted = (-target * log_probabilities).sum(1).mean()
        torch.testing.assert_close(smoothed_cross_entropy(logits, labels, smoothing, over), wanted)


def test_two_classes_by_hand():
    """Equal logits: log 2 whatever the smoothing. Logits 0 and log 3: probabilities 1/4 and 3/4."""
    labels = torch.tensor([0])
    assert float(smoothed_cross_entropy(torch.zeros(1, 2), labels, 0.3)) == pytest.approx(math.log(2))
    logits = torch.tensor([[0.0, math.log(3)]])
    wanted = -(0.95 * math.log(0.25) + 0.05 * math.log(0.75))
    assert float(smoothed_cross_entropy(logits, labels, 0.1)) == pytest.approx(wanted, rel=1e-6)
    wanted = -(0.9 * math.log(0.25) + 0.1 * math.log(0.75))
    assert float(smoothed_cross_entropy(logits, labels, 0.1, "others")) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("over", ["all", "others"])
def test_gradient_is_the_derivative(over):
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    labels = torch.tensor([0, 4, 2, 2])
    assert torch.autograd.gradcheck(lambda x: smoothed_cross_entropy(x, labels, 0.2, over), logits)


def test_others_cannot_outweigh_the_label():
    logits, labels = torch.zeros(1, 4), torch.tensor([0])
    assert float(smoothed_cross_entropy(logits, labels, 0.75, "others")) == pytest.approx(math.log(4))
    with pytest.raises(UserError, match="smoothing 0.8 over the 3 other classes .* at most 0.75"):
        smoothed_cross_entropy(logits, labels, 0.8, "others")
    with pytest.raises(UserError, match="the 0 other classes"):
        smoothed_cross_entropy(torch.zeros(1, 1), labels, 0.1, "others")
    assert float(smoothed_cross_entropy(torch.zeros(1, 1), labels, 0.0, "others")) == 0.0


def test_half_precision_logits_are_summed_in_float32():
    logits = torch.randn(4, 700, generator=torch.Generator().manual_seed(1)).bfloat16()
    labels = torch.arange(4)
    loss = smoothed_cross_entropy(logits, labels, 0.1)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, smoothed_cross_entropy(logits.float(), labels, 0.1))
