from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate

from reid.data.prepare import normalise, pixels_of, prepare, resize, scale_and_shift


def random_images(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)


def test_prepare_is_the_imagenet_normalisation():
    image = torch.tensor([[[[0, 128, 255]]]], dtype=torch.uint8)
    expected = [(0 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    torch.testing.assert_close(prepare(image, (1, 1)).flatten(), torch.tensor(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(32, 16), (9, 21), (40, 5)])
def test_resize_agrees_with_the_float_kernel_that_gpus_use(size):
    images = random_images(4, 20, 12)
    planes = images.permute(0, 3, 1, 2).float()
    exact = interpolate(planes, size=size, mode="bilinear", antialias=True).permute(0, 2, 3, 1)
    assert (resize(images, size).float() - exact).abs().max() <= 1.0


def test_pixels_are_got_back_exactly():
    """Every level of every color, and more images than one."""
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(-1, -1, -1, 3)
    for images in (levels.contiguous(), random_images(3, 7, 5)):
        assert torch.equal(pixels_of(prepare(images, tuple(images.shape[1:3]))), images)


def test_constants_are_made_once_for_a_width():
    first = scale_and_shift(37, torch.device("cpu"))
    before = [each.clone() for each in first]
    prepare(random_images(2, 5, 37), (5, 37))
    again = scale_and_shift(37, torch.device("cpu"))
    assert all(a is b and torch.equal(a, c) for a, b, c in zip(first, again, before, strict=True))


def test_constants_that_were_first_met_in_inference_mode_can_be_trained_through():
    scale_and_shift.cache_clear()
    images = torch.full((1, 4, 6, 3), 9.0)
    with torch.inference_mode():
        normalise(images)
    images.requires_grad_()
    normalise(images).sum().backward()
    assert images.grad is not None
