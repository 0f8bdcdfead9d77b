from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch.nn.functional import interpolate
from torchvision.transforms import functional as tvf

from reid.data import augment as module
from reid.data.augment import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    AugmentConfig,
    AugmentDraw,
    apply_draw,
    augment,
    draw,
    pixels_of,
    prepare,
    resize,
)


def random_images(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)


def one_at_a_time(images: torch.Tensor, size: tuple[int, int], drawn: AugmentDraw, pad: int) -> torch.Tensor:
    """What apply_draw does, image by image with torchvision's functions."""
    out = []
    for i, image in enumerate(images):
        x = tvf.resize(image.permute(2, 0, 1).contiguous(), list(size), antialias=True)
        if drawn.flip[i]:
            x = tvf.hflip(x)
        x = tvf.crop(tvf.pad(x, [pad]), int(drawn.top[i]), int(drawn.left[i]), *size)
        x = tvf.normalize(x.float() / 255, IMAGENET_MEAN, IMAGENET_STD)
        top, left, height, width = drawn.box[i].tolist()
        out.append(tvf.erase(x, top, left, height, width, torch.tensor(0.0)))
    return torch.stack(out)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(1, 6),
    stored=st.tuples(st.integers(8, 40), st.integers(8, 24)),
    size=st.tuples(st.integers(8, 40), st.integers(8, 24)),
    keep_size=st.booleans(),
    pad=st.integers(0, 12),
    erase=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_batch_equals_torchvision_image_by_image(seed, count, stored, size, keep_size, pad, erase):
    size = stored if keep_size else size
    config = AugmentConfig(pad=pad, erase=erase)
    images = random_images(count, *stored, seed=seed)
    drawn = draw(count, size, config, torch.Generator().manual_seed(seed))
    got = apply_draw(images, size, drawn, pad)
    expected = one_at_a_time(images, size, drawn, pad)
    # torch and torchvision round a resized pixel to uint8 by the same kernel, but over other memory layouts.
    levels = 0 if keep_size else 1
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5 + levels / 255 / min(IMAGENET_STD))


def test_augment_applies_its_own_draw_and_is_channels_last():
    images = random_images(5, 16, 8)
    config = AugmentConfig(pad=2)
    got = augment(images, (16, 8), config, torch.Generator().manual_seed(3))
    drawn = draw(5, (16, 8), config, torch.Generator().manual_seed(3))
    assert got.shape == (5, 3, 16, 8) and got.dtype == torch.float32
    assert got.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(got, apply_draw(images, (16, 8), drawn, 2))


def test_nothing_enabled_is_prepare():
    images = random_images(4, 16, 8)
    config = AugmentConfig(flip=0, pad=0, erase=0)
    assert torch.equal(augment(images, (16, 8), config, torch.Generator()), prepare(images, (16, 8)))
    assert torch.equal(augment(images, (32, 16), config, torch.Generator()), prepare(images, (32, 16)))


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


def test_input_is_left_alone():
    images = random_images(4, 16, 8)
    before = images.clone()
    augment(images, (16, 8), AugmentConfig(erase=1.0), torch.Generator())
    assert torch.equal(images, before)


def test_same_generator_state_draws_the_same_and_goes_on():
    config = AugmentConfig()
    first, second = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    a, b = draw(16, (32, 16), config, first), draw(16, (32, 16), config, second)
    assert all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("flip", "top", "left", "box"))
    again = draw(16, (32, 16), config, first)
    assert not torch.equal(a.top, again.top)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    size=st.sampled_from([(128, 64), (256, 128), (64, 32), (96, 96)]),
    area=st.sampled_from([(0.02, 0.4), (0.1, 0.1), (0.3, 0.6)]),
    ratio=st.sampled_from([0.3, 0.5, 1.0]),
)
def test_erased_rectangles_keep_to_area_ratio_and_image(seed, size, area, ratio):
    config = AugmentConfig(erase=1.0, erase_area=area, erase_ratio=ratio)
    box = draw(200, size, config, torch.Generator().manual_seed(seed)).box.double()
    top, left, height, width = box.unbind(1)
    assert (height > 0).all() and (width > 0).all()
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= size[0]).all() and (left + width <= size[1]).all()
    # Sides are rounded by at most half a pixel.
    pixels = size[0] * size[1]
    assert ((height + 0.5) * (width + 0.5) >= area[0] * pixels).all()
    assert ((height - 0.5) * (width - 0.5) <= area[1] * pixels).all()
    assert ((height + 0.5) / (width - 0.5) >= ratio).all()
    assert ((height - 0.5) / (width + 0.5) <= 1 / ratio).all()


def test_rates_and_ranges_of_a_large_draw():
    count, config = 20000, AugmentConfig(flip=0.3, pad=4, erase=0.7)
    drawn = draw(count, (128, 64), config, torch.Generator().manual_seed(0))
    # Five standard deviations of a binomial share with 20,000 draws are at most 0.018.
    assert abs(drawn.flip.float().mean() - 0.3) < 0.018
    assert abs((drawn.box[:, 2] > 0).float().mean() - 0.7) < 0.018
    for corner in (drawn.top, drawn.left):
        share = torch.bincount(corner, minlength=9) / count
        assert len(share) == 9 and (share - 1 / 9).abs().max() < 0.012
    # Flip, crop and erasing are drawn independently of each other.
    erased = drawn.box[:, 2] > 0
    assert abs(drawn.flip[erased].float().mean() - drawn.flip[~erased].float().mean()) < 0.04


def test_no_rectangle_where_none_fits():
    # A tenth of an image 1,000 times as high as wide is wider than the image at any ratio of 0.9 to 1/0.9.
    config = AugmentConfig(erase=1.0, erase_area=(0.1, 0.1), erase_ratio=0.9)
    assert not draw(50, (4000, 4), config, torch.Generator()).box.any()


@pytest.mark.parametrize(
    "bad",
    [
        {"flip": 1.5},
        {"pad": -1},
        {"erase": -0.1},
        {"erase_area": (0.4, 0.02)},
        {"erase_area": (0.0, 0.4)},
        {"erase_ratio": 0.0},
        {"padding": 3},
    ],
)
def test_config_refuses(bad):
    with pytest.raises(ValidationError):
        TypeAdapter(AugmentConfig).validate_python(bad)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 6), erase=st.sampled_from([0.0, 0.5, 1.0]))
def test_gpu_erases_what_the_cpu_does(seed, count, erase):
    """The CPU touches only the lines that a rectangle crosses, a GPU all pixels."""
    images = prepare(random_images(count, 24, 16, seed), (24, 16))
    box = draw(count, (24, 16), AugmentConfig(erase=erase), torch.Generator().manual_seed(seed)).box
    everywhere = module._erase_masked(images.clone(memory_format=torch.preserve_format), box)
    assert torch.equal(module._erase_lines(images, box), everywhere)
    assert everywhere.is_contiguous(memory_format=torch.channels_last)


def test_draw_reaches_a_device_by_one_copy(monkeypatch):
    drawn = draw(6, (32, 16), AugmentConfig(), torch.Generator().manual_seed(2))
    sent = []
    monkeypatch.setattr(module, "to_device", lambda tensor, device: sent.append(device) or tensor)
    assert drawn.to(torch.device("cpu")) is drawn and sent == []
    there = drawn.to(torch.device("cuda", 1))
    assert sent == [torch.device("cuda", 1)]
    for name in ("flip", "top", "left", "box"):
        got, expected = getattr(there, name), getattr(drawn, name)
        assert torch.equal(got, expected) and got.dtype == expected.dtype


def test_pixels_are_got_back_exactly():
    """Every level of every color, and more images than one."""
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(-1, -1, -1, 3)
    for images in (levels.contiguous(), random_images(3, 7, 5)):
        assert torch.equal(pixels_of(prepare(images, tuple(images.shape[1:3]))), images)


def test_constants_are_made_once_for_a_width():
    first = module.scale_and_shift(37, torch.device("cpu"))
    before = [each.clone() for each in first]
    prepare(random_images(2, 5, 37), (5, 37))
    again = module.scale_and_shift(37, torch.device("cpu"))
    assert all(a is b and torch.equal(a, c) for a, b, c in zip(first, again, before, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
@pytest.mark.parametrize("size", [(16, 8), (32, 16)])
def test_gpu_gives_the_batch_of_the_cpu(size):
    images = random_images(6, 16, 8)
    config = AugmentConfig(pad=3)
    on_cpu = augment(images, size, config, torch.Generator().manual_seed(5))
    on_gpu = augment(images.cuda(), size, config, torch.Generator().manual_seed(5))
    levels = 0 if size == (16, 8) else 1  # of 255, by rounding of the resized image
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=0, atol=1e-5 + levels / 255 / min(IMAGENET_STD))
