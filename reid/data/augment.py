"""Batched augmentation on the device that trains, in fast-reid's order: policy, pad and crop with flip, colour,
rotation, normalise, random erasing.

All random numbers are drawn first, on the CPU, into an ``AugmentDraw``; applying a draw is deterministic. So the
same generator gives the same batch on the CPU and on a GPU, and a test can apply a draw image by image.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.data.colour import JitterDraw, JitterRanges, draw_jitter, jitter, to_grayscale
from reid.data.erasing import draw_boxes, erase
from reid.data.policy import PolicyDraw, apply_policy, draw_policy
from reid.data.prepare import normalise, resize
from reid.data.warp import rotate
from reid.numbers import LARGEST_SIDE, Share
from reid.transfer import to_device


def _ordered(area: tuple[float, float]) -> tuple[float, float]:
    if not 0 < area[0] <= area[1] < 1:
        raise ValueError("must be two shares of the image with 0 < smallest <= largest < 1")
    return area


@dataclass(frozen=True, config=STRICT)
class AugmentConfig:
    """Augmentation of training images; the defaults are ReID's usual ones (Luo et al. 2019, "Bag of Tricks").

    Attributes:
        flip: chance that an image is mirrored.
        pad: black pixels added on each side, at the final size, before a random crop of the final size.
        erase: chance that a rectangle is erased.
        erase_area: smallest and largest share of the image that a rectangle covers.
        erase_ratio: r; the rectangle's height / width is uniform in r .. 1/r.
        crop_from: images are resized to this many times the final height and width before the random crop of the
            final size; 1.125 is 288x144 for 256x128. The padding, if any, is added at the larger size. Images that
            already have the final size (as images of mixed sizes are stored) are enlarged from it, a little softer.
        jitter: chance that an image's brightness, contrast, saturation and hue are changed, in an order that is
            drawn for each batch.
        jitter_brightness, jitter_contrast, jitter_saturation: b; the factor is uniform in 1 - b .. 1 + b. These
            defaults and that of the hue are fast-reid's.
        jitter_hue: the shift is uniform in -hue .. hue, in turns of the color circle.
        grayscale: chance that an image loses its color.
        rotate: degrees; every image is turned by an angle uniform in -rotate .. rotate, with black outside it.
        auto_augment: chance that an image has one random operation of ``reid.data.policy``.
    """

    flip: Share = 0.5
    pad: Annotated[int, Field(ge=0, le=LARGEST_SIDE)] = 10
    erase: Share = 0.5
    erase_area: Annotated[tuple[float, float], AfterValidator(_ordered)] = (0.02, 0.4)
    erase_ratio: Annotated[float, Field(gt=0, le=1)] = 0.3
    crop_from: Annotated[float, Field(ge=1, le=4)] = 1.0
    jitter: Share = 0.0
    jitter_brightness: Share = 0.15
    jitter_contrast: Share = 0.15
    jitter_saturation: Share = 0.1
    jitter_hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    grayscale: Share = 0.0
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    auto_augment: Share = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class AugmentDraw:
    """The augmentation drawn for each image of a batch of N; drawn on the CPU.

    Attributes:
        flip: ``(N,) bool``.
        top, left: ``(N,) int64``, the crop's corner in the padded image; in ``0..2 * pad`` where the crop is not from
            a larger image.
        box: ``(N, 4) int64``, top, left, height and width of the erased rectangle in the crop; height 0
            erases nothing.
        policy, jitter: None if they are off, like the attributes below.
        gray: ``(N,) bool``.
        degrees: ``(N,) float32``, counter-clockwise.
    """

    flip: torch.Tensor
    top: torch.Tensor
    left: torch.Tensor
    box: torch.Tensor
    policy: PolicyDraw | None = None
    jitter: JitterDraw | None = None
    gray: torch.Tensor | None = None
    degrees: torch.Tensor | None = None

    def to(self, device: torch.device) -> AugmentDraw:
        """The same on ``device``, by one asynchronous copy for what is always drawn and one or two for each addition
        that is on."""
        if device.type == "cpu":
            return self
        packed = torch.stack([self.flip.long(), self.top, self.left, *self.box.unbind(1)])
        flip, top, left, *box = to_device(packed, device)
        return AugmentDraw(
            flip=flip.bool(),
            top=top,
            left=left,
            box=torch.stack(box, dim=1),
            policy=None if self.policy is None else self.policy.to(device),
            jitter=None if self.jitter is None else self.jitter.to(device),
            gray=None if self.gray is None else to_device(self.gray, device),
            degrees=None if self.degrees is None else to_device(self.degrees, device),
        )


def augment(
    images: torch.Tensor, size: tuple[int, int], config: AugmentConfig, generator: torch.Generator
) -> torch.Tensor:
    """Augmented training images as input for a network: ``prepare`` plus the random changes that ``config`` adds.

    Args:
        images: ``(N, H, W, 3) uint8`` on any device.
        size: height h and width w of the result.
        config: the augmentations and their chances.
        generator: a CPU generator; N and the augmentations that are on decide how much is drawn from it.

    Returns:
        ``(N, 3, h, w) float32`` in channels-last memory format, on the images' device.
    """
    drawn = draw(len(images), size, config, generator)
    return apply_draw(images, size, drawn, config.pad, config.crop_from)


def draw(count: int, size: tuple[int, int], config: AugmentConfig, generator: torch.Generator) -> AugmentDraw:
    """The augmentation of ``count`` images, drawn from a CPU generator.

    Flip, crop and erasing are drawn first, and the rest draws nothing while it is off: so their numbers are the same
    whatever else is on.
    """
    chance = torch.rand(2, count, generator=generator)
    spare = [large + 2 * config.pad - side for large, side in zip(enlarged(size, config.crop_from), size, strict=True)]
    top, left = (torch.randint(0, room + 1, (count,), generator=generator) for room in spare)
    box = draw_boxes(count, size, config.erase_area, config.erase_ratio, generator)
    box[chance[1] >= config.erase] = 0
    ranges = JitterRanges(config.jitter_brightness, config.jitter_contrast, config.jitter_saturation, config.jitter_hue)
    return AugmentDraw(
        flip=chance[0] < config.flip,
        top=top,
        left=left,
        box=box,
        policy=draw_policy(count, config.auto_augment, generator) if config.auto_augment else None,
        jitter=draw_jitter(count, config.jitter, ranges, generator) if config.jitter else None,
        gray=torch.rand(count, generator=generator) < config.grayscale if config.grayscale else None,
        degrees=config.rotate * (2 * torch.rand(count, generator=generator) - 1) if config.rotate else None,
    )


def enlarged(size: tuple[int, int], crop_from: float) -> tuple[int, int]:
    """Height and width of images before a crop of ``size``, in whole pixels."""
    return round(size[0] * crop_from), round(size[1] * crop_from)


def apply_draw(
    images: torch.Tensor, size: tuple[int, int], drawn: AugmentDraw, pad: int, crop_from: float = 1.0
) -> torch.Tensor:
    """Resizes, runs the policy, flips, pads with black and crops, changes the colour, rotates, normalises, and erases;
    shapes as in ``augment``.

    An erased pixel is 0 after normalisation, that is, ImageNet's mean: ReID's usual filling.
    """
    images = resize(images, enlarged(size, crop_from))
    batch, large_height, large_width = images.shape[:3]
    height, width = size
    device = images.device
    drawn = drawn.to(device)
    if drawn.policy is not None:
        images = apply_policy(images, drawn.policy)
    padded_height, padded_width = large_height + 2 * pad, large_width + 2 * pad
    rows = drawn.top[:, None] + torch.arange(height, device=device)
    rows = rows + torch.arange(batch, device=device)[:, None] * padded_height
    columns = drawn.left[:, None] + torch.arange(width, device=device)
    columns = torch.where(drawn.flip[:, None], padded_width - 1 - columns, columns)
    # One gather of pixels does both flip and crop, still in uint8, with 32-bit indices where they suffice.
    dtype = torch.int32 if batch * padded_height * padded_width < 2**31 else torch.int64
    pixel = (rows * padded_width).to(dtype)[:, :, None] + columns.to(dtype)[:, None, :]
    canvas = images.new_zeros(batch, padded_height, padded_width, 3)
    canvas[:, pad : pad + large_height, pad : pad + large_width] = images
    cropped = canvas.view(-1, 3).index_select(0, pixel.view(-1)).view(batch, height, width, 3)
    return erase(normalise(_recolour_and_rotate(cropped, drawn)), drawn.box)


def _recolour_and_rotate(images: torch.Tensor, drawn: AugmentDraw) -> torch.Tensor:
    """``(N, h, w, 3) uint8`` after jitter, grayscale and rotation: ``float32`` levels in 0..255, which are not rounded
    in between; the pixels themselves if none of the three is on."""
    if drawn.jitter is None and drawn.gray is None and drawn.degrees is None:
        return images
    # Channel by channel in memory: operations that mix channels then read each in one piece.
    planes = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format) / 255
    if drawn.jitter is not None:
        planes = jitter(planes, drawn.jitter)
    if drawn.gray is not None:
        planes = to_grayscale(planes, drawn.gray)
    if drawn.degrees is not None:
        planes = rotate(planes, drawn.degrees)
    return (planes * 255).permute(0, 2, 3, 1)
