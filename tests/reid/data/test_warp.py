from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tvf

from reid.data.warp import rotate, shear, translate

BILINEAR = InterpolationMode.BILINEAR
NEAR = {"rtol": 0, "atol": 1e-4}
"""A coordinate is off by float32's rounding, some 1e-6 of the side; so is a pixel between 0 and 1."""

SIZES = st.tuples(st.integers(3, 40), st.integers(3, 24))


def planes(count: int, size: tuple[int, int], seed: int) -> torch.Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), size=SIZES, degrees=st.lists(st.floats(-180, 180, width=32), min_size=1, max_size=4))
def test_rotation_is_torchvisions(seed, size, degrees):
    images = planes(len(degrees), size, seed)
    got = rotate(images, torch.tensor(degrees))
    torch.testing.assert_close(
        got, torch.stack([tvf.rotate(x, d, BILINEAR) for x, d in zip(images, degrees, strict=True)]), **NEAR
    )


def test_a_quarter_turn_is_counter_clockwise_and_none_is_the_image():
    images = planes(2, (6, 6), 0)
    torch.testing.assert_close(
        rotate(images, torch.tensor([90.0, 0.0])), torch.stack([images[0].rot90(1, (1, 2)), images[1]]), **NEAR
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), size=SIZES, right=st.integers(-5, 5), down=st.integers(-5, 5))
def test_translation_is_torchvisions(seed, size, right, down):
    images = planes(2, size, seed)
    got = translate(images, torch.tensor([float(right), 0.0]), torch.tensor([float(down), 0.0]))
    torch.testing.assert_close(got[:1], tvf.affine(images[:1], 0.0, [right, down], 1.0, [0.0, 0.0], BILINEAR), **NEAR)
    torch.testing.assert_close(got[1], images[1], **NEAR)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), size=SIZES, angle=st.floats(-30, 30))
def test_shear_is_torchvisions(seed, size, angle):
    images = planes(2, size, seed)
    amount = torch.tensor([angle, 0.0]).deg2rad().tan()
    none = torch.zeros(2)
    across = torch.cat([tvf.affine(images[:1], 0.0, [0, 0], 1.0, [angle, 0.0], BILINEAR), images[1:]])
    torch.testing.assert_close(shear(images, amount, none), across, **NEAR)
    down = torch.cat([tvf.affine(images[:1], 0.0, [0, 0], 1.0, [0.0, angle], BILINEAR), images[1:]])
    torch.testing.assert_close(shear(images, none, amount), down, **NEAR)
