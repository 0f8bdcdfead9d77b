"""Each operation against torchvision's on a float image, of which they are the batched form."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import functional as tvf

from reid.data import colour
from reid.data.colour import JITTER_OPS, JitterRanges, draw_jitter, jitter, to_grayscale

RANGES = JitterRanges(0.4, 0.3, 0.5, 0.2)


def planes(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Images with gray, black, white, plain and nearly gray pixels besides random ones: hue is special there."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, height, width), generator=generator).float() / 255
    images[:, :, 0] = images[:, :1, 0]
    images[:, :, 1, :4] = torch.tensor([[0.0, 1.0, 1.0, 0.2], [0.0, 1.0, 0.0, 0.8], [0.0, 1.0, 0.0, 0.8]])
    images[:, :, 2] = images[:, :1, 2] * 0.9 + torch.tensor([0.0, 1 / 255, 2 / 255])[:, None]
    return images


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 5), channels_last=st.booleans())
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_operation_is_torchvisions(name, seed, count, channels_last):
    images = planes(count, 7, 5, seed)
    if channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    strength = torch.rand(count, generator=torch.Generator().manual_seed(seed))
    strength = strength - 0.5 if name == "hue" else 2 * strength
    before = images.clone()
    got = getattr(colour, f"adjust_{name}")(images, strength)
    told = getattr(tvf, f"adjust_{name}")
    expected = torch.stack([told(image, float(f)) for image, f in zip(images, strength, strict=True)])
    # torchvision goes by way of saturation and value, which costs single digits of float32.
    torch.testing.assert_close(got, expected, rtol=0, atol=3e-6)
    assert torch.equal(images, before)


def test_gray_is_torchvisions():
    images = planes(3, 6, 4)
    torch.testing.assert_close(colour.gray(images), tvf.rgb_to_grayscale(images), rtol=0, atol=1e-6)
    chosen = torch.tensor([True, False, True])
    got = to_grayscale(images, chosen)
    torch.testing.assert_close(got[chosen], tvf.rgb_to_grayscale(images, 3)[chosen], rtol=0, atol=1e-6)
    assert torch.equal(got[1], images[1])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), probability=st.sampled_from([0.0, 0.5, 1.0]))
def test_jitter_is_torchvisions_image_by_image(seed, probability):
    images = planes(6, 5, 4, seed)
    drawn = draw_jitter(6, probability, RANGES, torch.Generator().manual_seed(seed))
    got = jitter(images, drawn)
    names = ("brightness", "contrast", "saturation", "hue")
    strengths = dict(zip(drawn.chosen.tolist(), drawn.strength.T.tolist(), strict=True))
    for i, image in enumerate(images):
        if i not in strengths:
            assert torch.equal(got[i], image)
            continue
        for op in drawn.order:
            image = getattr(tvf, f"adjust_{names[op]}")(image, strengths[i][op])
        torch.testing.assert_close(got[i], image, rtol=0, atol=2e-5)


def test_rates_ranges_and_orders_of_large_draws():
    generator = torch.Generator().manual_seed(0)
    drawn = draw_jitter(20000, 0.3, RANGES, generator)
    # Five standard deviations of a binomial share with 20,000 draws are at most 0.018.
    assert abs(len(drawn.chosen) / 20000 - 0.3) < 0.018
    for strength, center, reach in zip(drawn.strength, (1, 1, 1, 0), (0.4, 0.3, 0.5, 0.2), strict=True):
        assert center - reach <= strength.min() < center - 0.99 * reach
        assert center + 0.99 * reach < strength.max() <= center + reach
    assert abs(torch.corrcoef(drawn.strength) - torch.eye(4)).max() < 0.08, "the four are independent"
    orders = {draw_jitter(1, 1.0, RANGES, generator).order for _ in range(300)}
    assert len(orders) == 24  # one is missing with a chance of 24 (23/24)^300 = 7e-5; the seed is fixed


def test_what_has_no_range_is_not_done():
    drawn = draw_jitter(4, 1.0, JitterRanges(0, 0.2, 0, 0), torch.Generator())
    assert [JITTER_OPS[op] for op in drawn.order] == [colour.adjust_contrast]
