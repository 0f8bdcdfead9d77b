from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tvf

from reid.data import policy
from reid.data.policy import OPERATIONS, PolicyDraw, apply_policy, draw_policy

BILINEAR = InterpolationMode.BILINEAR


def pixels(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Images of levels within other bounds each; the first is of one level, the second of two."""
    generator = torch.Generator().manual_seed(seed)
    low = torch.randint(0, 120, (count, 1, 1, 3), generator=generator)
    reach = torch.randint(1, 136, (count, 1, 1, 3), generator=generator)
    images = low + (torch.rand(count, height, width, 3, generator=generator) ** 2 * reach).long()
    images[0] = images[0, :1, :1]
    if count > 1:
        images[1] = torch.where(images[1] % 2 > 0, 200, 30)
    return images.to(torch.uint8)


def sheared(x: torch.Tensor, across: float, down: float) -> torch.Tensor:
    angles = [torch.tensor(each).atan().rad2deg().item() for each in (across, down)]
    return tvf.affine(x, 0.0, [0, 0], 1.0, angles, BILINEAR)


def _solarized(image, threshold):
    """torchvision refuses a threshold that no level reaches."""
    return image if threshold > 255 else tvf.solarize(image, threshold)


TOLD = {
    "identity": lambda x, s: x,
    "shear_x": lambda x, s: sheared(x, 0.3 * s, 0.0),
    "shear_y": lambda x, s: sheared(x, 0.0, 0.3 * s),
    "rotate": lambda x, s: tvf.rotate(x, 30 * s, BILINEAR),
    "brightness": lambda x, s: tvf.adjust_brightness(x, 1 + 0.9 * s),
    "color": lambda x, s: tvf.adjust_saturation(x, 1 + 0.9 * s),
    "contrast": lambda x, s: tvf.adjust_contrast(x, 1 + 0.9 * s),
    "sharpness": lambda x, s: tvf.adjust_sharpness(x, 1 + 0.9 * s),
    "posterize": lambda x, s: tvf.posterize(x, 8 - round(4 * abs(s))),
    "solarize": lambda x, s: _solarized(x, 256 * (1 - abs(s))),
    "autocontrast": lambda x, s: tvf.autocontrast(x),
    "equalize": lambda x, s: tvf.equalize(x),
}
"""What torchvision does to a ``(3, h, w)`` image: of uint8 where we work on levels too, of floats otherwise, as its
operations on uint8 cut off in between."""
ON_LEVELS = {"identity", "posterize", "solarize", "equalize"}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 5), size=st.tuples(st.integers(9, 40), st.integers(9, 24)))
@pytest.mark.parametrize("name", TOLD)
def test_operation_is_torchvisions(name, seed, count, size):
    images = pixels(count, *size, seed)
    strength = 2 * torch.rand(count, generator=torch.Generator().manual_seed(seed)) - 1
    before = images.clone()
    got = OPERATIONS[name](images, strength)
    given_ = images if name in ON_LEVELS else images.float() / 255
    told = [TOLD[name](x.permute(2, 0, 1), float(s)) for x, s in zip(given_, strength, strict=True)]
    expected = torch.stack(told).permute(0, 2, 3, 1)
    assert got.dtype == torch.uint8 and torch.equal(images, before)
    if name in ON_LEVELS:
        assert torch.equal(got, expected)
    else:  # half a level by rounding, and a warp's coordinates are off by float32's rounding
        assert (got.float() - 255 * expected).abs().max() <= 0.52


@pytest.mark.parametrize("name, dim", [("translate_x", 2), ("translate_y", 1)])
def test_translation_goes_up_to_a_seventh_of_the_side(name, dim):
    images = pixels(3, 28, 14, 1)
    got = OPERATIONS[name](images, torch.tensor([0.0, 1.0, -1.0]))
    side = images.shape[dim]
    shift = side // 7
    assert torch.equal(got[0], images[0])
    for sign, now, was in ((1, got[1], images[1]), (-1, got[2], images[2])):
        now, was = now.movedim(dim - 1, 0), was.movedim(dim - 1, 0)
        if sign < 0:
            now, was = now.flip(0), was.flip(0)
        assert torch.equal(now[shift:], was[: side - shift]) and not now[:shift].any()


def test_solarize_inverts_from_its_threshold_on():
    images = torch.arange(126, 130, dtype=torch.uint8).view(1, 2, 2, 1).expand(1, 2, 2, 3)
    got = policy.solarize(images, torch.tensor([-0.5]))  # a threshold of 128
    assert got[..., 0].flatten().tolist() == [126, 127, 127, 126]


def test_sharpness_is_torchvisions():
    images = torch.rand(4, 3, 9, 6, generator=torch.Generator().manual_seed(0))
    factor = torch.tensor([0.0, 0.4, 1.0, 1.9])
    expected = torch.stack([tvf.adjust_sharpness(x, float(f)) for x, f in zip(images, factor, strict=True)])
    torch.testing.assert_close(policy.adjust_sharpness(images, factor), expected, rtol=0, atol=2e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 40), probability=st.sampled_from([0.0, 0.5, 1.0]))
def test_policy_is_each_images_operation(seed, count, probability):
    images = pixels(count, 12, 9, seed)
    drawn = draw_policy(count, probability, torch.Generator().manual_seed(seed))
    assert sum(drawn.counts) == count and sorted(drawn.order.tolist()) == list(range(count))
    got = apply_policy(images, drawn)
    assert got.is_contiguous() and got.dtype == torch.uint8
    names = [name for name, many in zip(OPERATIONS, drawn.counts, strict=True) for _ in range(many)]
    for i, name in zip(drawn.order.tolist(), names, strict=True):
        expected = OPERATIONS[name](images[i : i + 1], drawn.strength[i : i + 1])[0]
        # A mean over one image or over several may be summed in another order.
        assert (got[i].int() - expected.int()).abs().max() <= (1 if name == "contrast" else 0)
    if probability == 0:
        assert torch.equal(got, images)


def test_rates_of_a_large_draw():
    drawn: PolicyDraw = draw_policy(28000, 0.5, torch.Generator().manual_seed(0))
    share = torch.tensor(drawn.counts) / 28000
    expected = torch.full((14,), 0.5 / 14)
    expected[0] += 0.5
    # Five standard deviations: 0.015 of the identity, 0.0056 of the others.
    assert abs(share[0] - expected[0]) < 0.015 and (share - expected)[1:].abs().max() < 0.0056
    assert drawn.strength.min() < -0.99 and drawn.strength.max() > 0.99 and abs(drawn.strength.mean()) < 0.018
