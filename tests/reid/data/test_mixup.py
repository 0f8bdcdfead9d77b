"""Blended images: shares and partners, against what each pixel must be."""

from __future__ import annotations

import pytest
import torch

from reid.data.mixup import blended
from reid.engine.machine.device import seeded


def _one_hot(count: int) -> torch.Tensor:
    """Images of which number n is 1 in channel n alone, so that a blend says what is in it."""
    return torch.eye(count).reshape(count, count, 1, 1).expand(-1, -1, 4, 2).contiguous()


@pytest.mark.parametrize("most", [0.5, 0.2])
def test_each_image_has_a_share_of_one_other(most):
    count = 600
    with seeded(3):
        mixed = blended(_one_hot(count), most)
    assert torch.equal(mixed, mixed[..., :1, :1].expand_as(mixed)), "of whole images"
    parts = mixed[..., 0, 0]
    torch.testing.assert_close(parts.sum(1), torch.ones(count))
    itself = parts.diagonal()
    others = parts - torch.diag(itself)
    assert ((others > 0).sum(1) <= 1).all()
    laid_over = others.argmax(1)[others.sum(1) > 0]
    assert len(set(laid_over.tolist())) == len(laid_over) > count - 10, "each is laid over one"
    shares = 1 - itself[others.sum(1) > 0]
    assert shares.max() <= most
    # Drawn evenly from 0 to the most: the mean and the deviation of a uniform distribution.
    assert shares.mean().item() == pytest.approx(most / 2, rel=0.1)
    assert shares.std().item() == pytest.approx(most / 12**0.5, rel=0.1)


def test_no_share_is_the_image():
    images = torch.randn(4, 3, 8, 4)
    assert torch.equal(blended(images, 0.0), images)


def test_format_and_precision_stay():
    images = torch.randn(4, 3, 8, 4).to(torch.bfloat16).to(memory_format=torch.channels_last)
    mixed = blended(images, 0.5)
    assert mixed.dtype is torch.bfloat16 and mixed.is_contiguous(memory_format=torch.channels_last)


def test_nothing_is_asked_of_the_device():
    """``meta`` tensors have no values: what would wait for a device raises."""
    assert blended(torch.empty(4, 3, 8, 4, device="meta"), 0.5).shape == (4, 3, 8, 4)
