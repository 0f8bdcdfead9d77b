from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torchvision.transforms import functional as tvf

from reid.config import load_config
from reid.data import augment as module
from reid.data import colour, policy
from reid.data.augment import AugmentConfig, AugmentDraw, apply_draw, augment, draw, enlarged
from reid.data.colour import jitter
from reid.data.erasing import draw_boxes
from reid.data.policy import apply_policy
from reid.data.prepare import IMAGENET_MEAN, IMAGENET_STD, prepare
from reid.engine.recipe import Recipe

ADDITIONS = {
    "crop_from": 1.125,
    "jitter": 0.5,
    "grayscale": 0.3,
    "rotate": 15.0,
    "auto_augment": 0.5,
}
"""A value that turns each addition on."""
ALL_ON = AugmentConfig(pad=3, **ADDITIONS)


def random_images(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)


def one_at_a_time(
    images: torch.Tensor, size: tuple[int, int], drawn: AugmentDraw, pad: int, crop_from: float = 1.0
) -> torch.Tensor:
    """What apply_draw does, image by image with torchvision's functions; the jitter and the policy, which have tests of
    their own, are its own."""
    out = []
    large = list(enlarged(size, crop_from))
    images = torch.stack([tvf.resize(image.permute(2, 0, 1).contiguous(), large, antialias=True) for image in images])
    if drawn.policy is not None:
        images = apply_policy(images.permute(0, 2, 3, 1).contiguous(), drawn.policy).permute(0, 3, 1, 2)
    cropped = []
    for i, x in enumerate(images):
        if drawn.flip[i]:
            x = tvf.hflip(x)
        cropped.append(tvf.crop(tvf.pad(x, [pad]), int(drawn.top[i]), int(drawn.left[i]), *size).float() / 255)
    images = torch.stack(cropped)
    if drawn.jitter is not None:
        images = jitter(images, drawn.jitter)
    for i, x in enumerate(images):
        if drawn.gray is not None and drawn.gray[i]:
            x = tvf.rgb_to_grayscale(x, 3)
        if drawn.degrees is not None:
            x = tvf.rotate(x, float(drawn.degrees[i]), tvf.InterpolationMode.BILINEAR)
        x = tvf.normalize(x, IMAGENET_MEAN, IMAGENET_STD)
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


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(1, 6),
    pad=st.integers(0, 4),
    on=st.sets(st.sampled_from([*ADDITIONS])),
)
def test_additions_equal_torchvision_image_by_image(seed, count, pad, on):
    size = (24, 12)
    config = AugmentConfig(pad=pad, **{name: ADDITIONS[name] for name in on})
    images = random_images(count, *enlarged(size, config.crop_from), seed=seed)  # nothing is left to resize
    drawn = draw(count, size, config, torch.Generator().manual_seed(seed))
    got = apply_draw(images, size, drawn, pad, config.crop_from)
    expected = one_at_a_time(images, size, drawn, pad, config.crop_from)
    # A rotated pixel is off by up to 1e-4 where its coordinate is rounded; normalisation divides by the deviation.
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4 / min(IMAGENET_STD))


def test_a_crop_from_a_larger_size_is_cut_from_the_resized_image():
    """288x144 for 256x128 in small: every corner of the larger image, and no black, without padding."""
    images = random_images(400, 20, 10)
    config = AugmentConfig(flip=0, pad=0, erase=0, crop_from=1.125)
    drawn = draw(400, (32, 16), config, torch.Generator().manual_seed(0))
    assert drawn.top.unique().tolist() == [0, 1, 2, 3, 4] and drawn.left.unique().tolist() == [0, 1, 2]
    got = augment(images, (32, 16), config, torch.Generator().manual_seed(0))
    whole = prepare(images, (36, 18))
    for i, (top, left) in enumerate(zip(drawn.top.tolist(), drawn.left.tolist(), strict=True)):
        torch.testing.assert_close(got[i], whole[i, :, top : top + 32, left : left + 16], rtol=0, atol=0)
    assert enlarged((256, 128), 1.125) == (288, 144)
    assert enlarged((60, 30), 1.33) == (80, 40), "to the nearest pixel"


@pytest.mark.parametrize("config", [AugmentConfig(pad=2), ALL_ON], ids=["default", "all on"])
def test_augment_applies_its_own_draw_and_is_channels_last(config):
    images = random_images(5, 16, 8)
    got = augment(images, (16, 8), config, torch.Generator().manual_seed(3))
    drawn = draw(5, (16, 8), config, torch.Generator().manual_seed(3))
    assert got.shape == (5, 3, 16, 8) and got.dtype == torch.float32
    assert got.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(got, apply_draw(images, (16, 8), drawn, config.pad, config.crop_from))


def numbers_of_the_first_version(count, size, config, generator):
    """What was drawn before there was more than flip, crop and erasing, number by number."""
    chance = torch.rand(2, count, generator=generator)
    corner = torch.randint(0, 2 * config.pad + 1, (2, count), generator=generator)
    box = draw_boxes(count, size, config.erase_area, config.erase_ratio, generator)
    box[chance[1] >= config.erase] = 0
    return chance[0] < config.flip, corner[0], corner[1], box


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 130), pad=st.integers(0, 12))
def test_off_additions_draw_nothing_and_on_ones_leave_the_rest(seed, count, pad):
    """A training of a recipe without them stays what it was, bit by bit."""
    now, then = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    config = AugmentConfig(pad=pad)
    drawn, told = draw(count, (32, 16), config, now), numbers_of_the_first_version(count, (32, 16), config, then)
    assert all(map(torch.equal, (drawn.flip, drawn.top, drawn.left, drawn.box), told))
    assert torch.equal(now.get_state(), then.get_state())
    assert drawn.policy is drawn.jitter is drawn.gray is drawn.degrees is None
    more = draw(count, (32, 16), AugmentConfig(pad=pad, **ADDITIONS), now.manual_seed(seed))
    assert torch.equal(more.flip, drawn.flip) and torch.equal(more.box, drawn.box)


@pytest.mark.parametrize("name", ADDITIONS)
def test_addition_differs_from_image_to_image_and_repeats(name):
    """Sixteen copies of one image come out in several ways; the same generator gives the same."""
    images = random_images(1, 36, 18).expand(16, -1, -1, -1).contiguous()
    config = AugmentConfig(flip=0, pad=0, erase=0, **{name: ADDITIONS[name]})
    before = images.clone()
    first, second = (augment(images, (32, 16), config, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second) and torch.equal(images, before)
    assert len({tuple(image.flatten().tolist()) for image in first}) >= (2 if name == "grayscale" else 4)
    other = augment(images, (32, 16), config, torch.Generator().manual_seed(8))
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name, value", [("jitter", 0.5), ("grayscale", 0.3), ("auto_augment", 0.4)])
def test_images_that_an_addition_spares_are_left_alone(name, value):
    images = random_images(500, 6, 4)
    config = AugmentConfig(flip=0, pad=0, erase=0, **{name: value})
    got = augment(images, (6, 4), config, torch.Generator().manual_seed(0))
    same = (got - prepare(images, (6, 4))).abs().amax(dim=(1, 2, 3)) < 1e-5
    # Five standard deviations of a binomial share with 500 draws are at most 0.112; one in 14 of the policy's
    # operations is none, and some do nothing to such small images of noise.
    assert abs(same.float().mean() - (1 - value)) < 0.112 + (0.4 / 7 if name == "auto_augment" else 0)


def test_each_range_is_its_own_operations():
    names, reach = ("brightness", "contrast", "saturation", "hue"), (0.1, 0.2, 0.3, 0.4)
    changes = {f"jitter_{name}": far for name, far in zip(names, reach, strict=True)}
    drawn = draw(2000, (32, 16), AugmentConfig(jitter=1, **changes), torch.Generator().manual_seed(0)).jitter
    spread = (drawn.strength.amax(dim=1) - drawn.strength.amin(dim=1)) / 2
    torch.testing.assert_close(spread, torch.tensor(reach), rtol=0.02, atol=0)


def test_defaults_are_the_usual_ones():
    """Luo et al. 2019 (flip, padding, erasing with Zhong et al.'s areas and ratios) and fast-reid (the jitter)."""
    usual = {"flip": 0.5, "pad": 10, "erase": 0.5, "erase_area": (0.02, 0.4), "erase_ratio": 0.3}
    usual |= {"jitter_brightness": 0.15, "jitter_contrast": 0.15, "jitter_saturation": 0.1, "jitter_hue": 0.1}
    off = {"crop_from": 1, "jitter": 0, "grayscale": 0, "rotate": 0, "auto_augment": 0}
    assert AugmentConfig(**usual, **off) == AugmentConfig()


def test_angles_are_uniform_in_their_range():
    degrees = draw(20000, (32, 16), AugmentConfig(rotate=10), torch.Generator().manual_seed(0)).degrees
    assert -10 <= degrees.min() < -9.9 and 9.9 < degrees.max() <= 10
    share = degrees.histc(5, -10, 10) / 20000
    assert (share - 0.2).abs().max() < 0.015


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_override_turns_an_addition_on(tmp_path, name):
    path = tmp_path / "recipe.yaml"
    path.write_text("augment: {flip: 0.5}\n")
    recipe = load_config(Recipe, path, [f"augment.{name}={ADDITIONS[name]}"])
    assert recipe.augment == AugmentConfig(**{name: ADDITIONS[name]})


def test_nothing_enabled_is_prepare():
    images = random_images(4, 16, 8)
    config = AugmentConfig(flip=0, pad=0, erase=0)
    assert torch.equal(augment(images, (16, 8), config, torch.Generator()), prepare(images, (16, 8)))
    assert torch.equal(augment(images, (32, 16), config, torch.Generator()), prepare(images, (32, 16)))


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
        {"crop_from": 0.9},
        {"crop_from": 5},
        {"crop_from": float("nan")},
        {"jitter": 1.1},
        {"jitter_brightness": -0.1},
        {"jitter_contrast": 1.5},
        {"jitter_saturation": -1},
        {"jitter_hue": 0.6},
        {"grayscale": -0.1},
        {"rotate": 200},
        {"rotate": -5},
        {"auto_augment": 2},
    ],
)
def test_config_refuses(bad):
    with pytest.raises(ValidationError):
        TypeAdapter(AugmentConfig).validate_python(bad)


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


def test_a_draw_with_every_addition_reaches_a_device_whole(monkeypatch):
    images, size = random_images(32, 16, 8), (16, 8)
    drawn, sent = draw(32, size, ALL_ON, torch.Generator().manual_seed(2)), []
    for each in (module, colour, policy):
        monkeypatch.setattr(each, "to_device", lambda tensor, device: sent.append(device) or tensor)
    there = drawn.to(torch.device("cuda", 1))
    assert sent == [torch.device("cuda", 1)] * (1 + 2 + 2 + 1 + 1)  # policy and jitter have two tensors each
    told, got = (apply_draw(images, size, each, ALL_ON.pad, ALL_ON.crop_from) for each in (drawn, there))
    assert torch.equal(got, told)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
@pytest.mark.parametrize("name", ADDITIONS)
def test_gpu_gives_the_additions_of_the_cpu(name):
    images = random_images(64, 36, 18)
    config = AugmentConfig(**{name: ADDITIONS[name]})
    size = (36, 18) if config.crop_from == 1 else (32, 16)
    on_cpu = augment(images, size, config, torch.Generator().manual_seed(5))
    on_gpu = augment(images.cuda(), size, config, torch.Generator().manual_seed(5))
    levels = 1 if name == "auto_augment" else 0  # of 255, where a sum in another order is rounded
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=0, atol=(1e-4 + levels / 255) / min(IMAGENET_STD))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
@pytest.mark.parametrize("size", [(16, 8), (32, 16)])
def test_gpu_gives_the_batch_of_the_cpu(size):
    images = random_images(6, 16, 8)
    config = AugmentConfig(pad=3)
    on_cpu = augment(images, size, config, torch.Generator().manual_seed(5))
    on_gpu = augment(images.cuda(), size, config, torch.Generator().manual_seed(5))
    levels = 0 if size == (16, 8) else 1  # of 255, by rounding of the resized image
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=0, atol=1e-5 + levels / 255 / min(IMAGENET_STD))
