"""Parity, by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from evaluation.export import FileAbout, Parity, measure_parity, random_pixels
from reid.errors import UserError

ABOUT = FileAbout("Two numbers", (2, 1), 2, 1, 1, "", pixels=True)


class Fixed(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[3.0, 4.0], [0.0, -5.0]])[: len(images)]


class Session:
    """The second image is wrong at batch 2; at batch 1 the first is."""

    def __init__(self) -> None:
        self.batches = []

    def run(self, _, feed):
        self.batches.append(len(feed["images"]))
        if len(feed["images"]) == 2:
            return [np.array([[3.0, 4.0], [3.0, -4.0]], np.float32)]
        return [np.array([[3.0, 4.5]], np.float32)]


def test_by_hand():
    session = Session()
    found = measure_parity(Fixed(), session, random_pixels(2, (2, 1)), ABOUT)
    assert session.batches == [2, 1, 1]
    # Cosines: 1 and 0.8 together; alone (3, 4) by (3, 4.5), and (0, -5) by (3, 4.5).
    alone = 27 / (5 * math.hypot(3, 4.5)), -4.5 / math.hypot(3, 4.5)
    assert (found.images, found.largest, found.difference) == (2, 5.0, 9.5)
    assert found.least_cosine == pytest.approx(alone[1])
    assert found.mean_cosine == pytest.approx((1.8 + sum(alone)) / 4)


@pytest.mark.parametrize(
    ("value", "words"), [(math.nan, "vectors that contain NaN or infinite values"), (0.0, "nothing but zeros")]
)
def test_a_broken_network_is_no_fault_of_the_runtime(value, words):
    class Broken(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.full((len(images), 2), value)

    with pytest.raises(UserError, match=f"^Two numbers computes {words}: its training "):
        measure_parity(Broken(), Session(), random_pixels(2, (2, 1)), ABOUT)


@pytest.mark.parametrize(("there", "cosine"), [(0.0, 1.0), (4e-6, 1.0), (6e-6, 0.0), (5.0, 0.0), (math.nan, math.nan)])
def test_an_image_whose_embedding_is_zeros(there, cosine):
    """As a ReLU gives it; the file may have a rounding error in their place, but no number of a size."""

    embeddings = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 5.0]])
    written = embeddings.clone()
    written[0, 0] = there
    alone = iter(written.split(1))

    class Rectified(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return embeddings

    class File:
        def run(self, _, feed):
            return [(written if len(feed["images"]) == len(written) else next(alone)).numpy()]

    found = measure_parity(Rectified(), File(), random_pixels(3, (2, 1)), ABOUT)
    assert found.least_cosine == pytest.approx(cosine, nan_ok=True)
    assert found.mean_cosine == pytest.approx((2 * cosine + 4) / 6, nan_ok=True)


def test_what_is_refused():
    sound = Parity(images=4, largest=2.0, difference=1.9e-3, least_cosine=0.999991, mean_cosine=1.0)
    sound.check("x")
    for change in ({"difference": 2.1e-3}, {"least_cosine": 0.99998}, {"difference": math.nan}, {"largest": math.nan}):
        with pytest.raises(UserError, match="^x: the exported file's embeddings differ from PyTorch's"):
            dataclasses.replace(sound, **change).check("x")


def test_random_pixels_are_of_the_seed():
    first, again, other = (random_pixels(3, (4, 2), seed) for seed in (1, 1, 2))
    assert first.shape == (3, 4, 2, 3) and torch.equal(first, again) and not torch.equal(first, other)
