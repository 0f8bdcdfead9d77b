"""Smoothed cross-entropy against its formula."""

from __future__ import annotations

import math

import pytest
import torch

from reid.losses.cross_entropy import smoothed_cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_formula(smoothing):
    logits = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)) * 3
    labels = torch.tensor([0, 4, 2, 2, 1, 3, 0])
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        normaliser = math.log(sum(math.exp(value) for value in row))
        for column, value in enumerate(row):
            target = smoothing / 5 + (1 - smoothing) * (column == label)
            total -= target * (value - normaliser)
    assert float(smoothed_cross_entropy(logits, labels, smoothing)) == pytest.approx(total / 7, rel=1e-5)


def test_two_classes_by_hand():
    """Equal logits: log 2 whatever the smoothing. Logits 0 and log 3: probabilities 1/4 and 3/4."""
    labels = torch.tensor([0])
    assert float(smoothed_cross_entropy(torch.zeros(1, 2), labels, 0.3)) == pytest.approx(math.log(2))
    logits = torch.tensor([[0.0, math.log(3)]])
    wanted = -(0.95 * math.log(0.25) + 0.05 * math.log(0.75))
    assert float(smoothed_cross_entropy(logits, labels, 0.1)) == pytest.approx(wanted, rel=1e-6)


def test_half_precision_logits_are_summed_in_float32():
    logits = torch.randn(4, 700, generator=torch.Generator().manual_seed(1)).bfloat16()
    labels = torch.arange(4)
    loss = smoothed_cross_entropy(logits, labels, 0.1)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, smoothed_cross_entropy(logits.float(), labels, 0.1))
