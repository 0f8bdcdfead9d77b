"""Batched augmentation on the device that trains: flip, pad and crop, normalise, random erasing.

What is random is drawn first, on the CPU, into an ``AugmentDraw``; applying a draw is deterministic. So the
same generator gives the same batch on the CPU and on a GPU, and a test can apply a draw image by image.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass
from torch.nn.functional import interpolate

from reid.transfer import to_device

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

ERASE_TRIES = 20
"""Rectangles drawn for each image, of which the first that fits is erased. Zhong et al.'s code tries 100
times; at 256x128 and 128x64 with the usual areas one in 17 does not fit, so that 20 fail once in 10^24."""


def _ordered(area: tuple[float, float]) -> tuple[float, float]:
    if not 0 < area[0] <= area[1] < 1:
        raise ValueError("must be two shares of the image with 0 < smallest <= largest < 1")
    return area


@dataclass(frozen=True, config={"extra": "forbid"})
class AugmentConfig:
    """What is done to training images; the defaults are ReID's usual ones (Luo et al. 2019, "Bag of Tricks").

    Attributes:
        flip: chance that an image is mirrored.
        pad: black pixels added on each side, at the final size, before a random crop of the final size.
        erase: chance that a rectangle is erased.
        erase_area: smallest and largest share of the image that a rectangle covers.
        erase_ratio: r; the rectangle's height / width is uniform in r .. 1/r.
    """

    flip: Annotated[float, Field(ge=0, le=1)] = 0.5
    pad: Annotated[int, Field(ge=0)] = 10
    erase: Annotated[float, Field(ge=0, le=1)] = 0.5
    erase_area: Annotated[tuple[float, float], AfterValidator(_ordered)] = (0.02, 0.4)
    erase_ratio: Annotated[float, Field(gt=0, le=1)] = 0.3


@dataclasses.dataclass(frozen=True, eq=False)
class AugmentDraw:
    """What happens to each image of a batch of N; drawn on the CPU.

    Attributes:
        flip: ``(N,) bool``.
        top, left: ``(N,) int64`` in ``0..2 * pad``, the crop's corner in the padded image.
        box: ``(N, 4) int64``, top, left, height and width of the erased rectangle in the crop; height 0
            erases nothing.
    """

    flip: torch.Tensor
    top: torch.Tensor
    left: torch.Tensor
    box: torch.Tensor

    def to(self, device: torch.device) -> AugmentDraw:
        """The same on ``device``, by one copy that is not waited for."""
        if device.type == "cpu":
            return self
        packed = torch.stack([self.flip.long(), self.top, self.left, *self.box.unbind(1)])
        flip, top, left, *box = to_device(packed, device)
        return AugmentDraw(flip=flip.bool(), top=top, left=left, box=torch.stack(box, dim=1))


def prepare(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Images as a network takes them: resized and normalised with ImageNet's mean and standard deviation.

    Args:
        images: ``(N, H, W, 3) uint8`` on any device.
        size: height h and width w that come out.

    Returns:
        ``(N, 3, h, w) float32`` in channels-last memory format, on the same device.
    """
    return _normalise(resize(images, size))


def pixels_of(prepared: torch.Tensor) -> torch.Tensor:
    """The ``(N, h, w, 3) uint8`` pixels that ``prepare`` normalised, exactly, of its ``(N, 3, h, w) float32``."""
    scale, shift = scale_and_shift(1, prepared.device)
    levels = (prepared.permute(0, 2, 3, 1) - shift) / scale
    return levels.round_().clamp_(0, 255).to(torch.uint8).contiguous()


def augment(
    images: torch.Tensor, size: tuple[int, int], config: AugmentConfig, generator: torch.Generator
) -> torch.Tensor:
    """Training images as a network takes them: ``prepare`` with random flip, crop and erasing for each image.

    Args:
        images: ``(N, H, W, 3) uint8`` on any device.
        size: height h and width w that come out.
        config: what may happen, and how often.
        generator: a CPU generator; N alone decides how much is drawn from it.

    Returns:
        ``(N, 3, h, w) float32`` in channels-last memory format, on the images' device.
    """
    return apply_draw(images, size, draw(len(images), size, config, generator), config.pad)


def draw(count: int, size: tuple[int, int], config: AugmentConfig, generator: torch.Generator) -> AugmentDraw:
    """What ``augment`` does to ``count`` images, drawn from a CPU generator."""
    chance = torch.rand(2, count, generator=generator)
    corner = torch.randint(0, 2 * config.pad + 1, (2, count), generator=generator)
    box = _draw_boxes(count, size, config, generator)
    box[chance[1] >= config.erase] = 0
    return AugmentDraw(flip=chance[0] < config.flip, top=corner[0], left=corner[1], box=box)


def apply_draw(images: torch.Tensor, size: tuple[int, int], drawn: AugmentDraw, pad: int) -> torch.Tensor:
    """Resizes, flips, pads with black and crops, normalises, and erases; shapes as in ``augment``.

    An erased pixel is 0 after normalisation, that is, ImageNet's mean: ReID's usual filling.
    """
    images = resize(images, size)
    batch, height, width = images.shape[:3]
    device = images.device
    drawn = drawn.to(device)
    padded_height, padded_width = height + 2 * pad, width + 2 * pad
    rows = drawn.top[:, None] + torch.arange(height, device=device)
    rows = rows + torch.arange(batch, device=device)[:, None] * padded_height
    columns = drawn.left[:, None] + torch.arange(width, device=device)
    columns = torch.where(drawn.flip[:, None], padded_width - 1 - columns, columns)
    # One gather of pixels does both flip and crop, still in uint8. 32-bit indices where they suffice.
    dtype = torch.int32 if batch * padded_height * padded_width < 2**31 else torch.int64
    pixel = (rows * padded_width).to(dtype)[:, :, None] + columns.to(dtype)[:, None, :]
    canvas = images.new_zeros(batch, padded_height, padded_width, 3)
    canvas[:, pad : pad + height, pad : pad + width] = images
    cropped = canvas.view(-1, 3).index_select(0, pixel.view(-1)).view(batch, height, width, 3)
    erase = _erase_lines if device.type == "cpu" else _erase_masked
    return erase(_normalise(cropped), drawn.box)


def _draw_boxes(count: int, size: tuple[int, int], config: AugmentConfig, generator: torch.Generator) -> torch.Tensor:
    """``(count, 4) int64`` rectangles after Zhong et al. 2017, "Random Erasing"; all zero where none fits."""
    height, width = size
    u = torch.rand(4, count, ERASE_TRIES, generator=generator, dtype=torch.float64)
    low, high = config.erase_area
    area = (low + (high - low) * u[0]) * (height * width)
    ratio = config.erase_ratio + (1 / config.erase_ratio - config.erase_ratio) * u[1]
    box_height = (area * ratio).sqrt().round()
    box_width = (area / ratio).sqrt().round()
    fits = (box_height < height) & (box_width < width)
    top = (u[2] * (height - box_height + 1)).floor()
    left = (u[3] * (width - box_width + 1)).floor()
    boxes = torch.stack([top, left, box_height, box_width], dim=-1).long()
    first = fits.int().argmax(dim=1)
    return boxes[torch.arange(count), first] * fits.any(dim=1)[:, None]


def _erase_lines(images: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    """Zeroes the rectangles in place; ``images`` is ``(N, 3, h, w)`` in channels-last memory. For the CPU: only pixel
    rows that a rectangle crosses are touched, and a GPU would have to be waited for to know how many they are."""
    batch, channels, height, width = images.shape
    rows, columns = _sides(box, height, width)
    image, row = rows.nonzero().unbind(1)
    kept = (~columns).float().repeat_interleave(channels, dim=1)
    lines = images.permute(0, 2, 3, 1).view(batch * height, width * channels)
    lines[image * height + row] *= kept[image]
    return images


def _erase_masked(images: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    """As ``_erase_lines``, on any device and without waiting for it, but every pixel is passed over."""
    rows, columns = _sides(box, *images.shape[2:])
    return images.masked_fill_((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def _sides(box: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """``(N, h) bool`` and ``(N, w) bool``: the rows and the columns that each rectangle covers."""
    top, left, box_height, box_width = box[:, :, None].unbind(1)
    row, column = torch.arange(height, device=box.device), torch.arange(width, device=box.device)
    return (row >= top) & (row < top + box_height), (column >= left) & (column < left + box_width)


def _normalise(images: torch.Tensor) -> torch.Tensor:
    """``(N, h, w, 3) uint8`` to ``(N, 3, h, w) float32`` in channels-last memory."""
    batch, height, width, channels = images.shape
    scale, shift = scale_and_shift(width, images.device)
    rows = images.reshape(batch, height, width * channels).to(torch.float32).mul_(scale).add_(shift)
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


@functools.lru_cache(maxsize=16)
def scale_and_shift(width: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The normalisation as a factor and a summand, ``(width * 3,) float32``: laid out along a whole row of RGB pixels
    for long inner loops. Kept, as every step asks for the same."""
    mean = torch.tensor(IMAGENET_MEAN, dtype=torch.float64)
    std = torch.tensor(IMAGENET_STD, dtype=torch.float64)
    scale, shift = 1 / (255 * std), -mean / std
    return to_device(scale.float().repeat(width), device), to_device(shift.float().repeat(width), device)


def resize(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """``(N, H, W, 3) uint8`` to ``(N, h, w, 3) uint8``, bilinear with antialiasing."""
    if tuple(images.shape[1:3]) == tuple(size):
        return images
    planes = images.permute(0, 3, 1, 2)  # channels-last memory
    if images.device.type == "cpu":
        resized = interpolate(planes, size=size, mode="bilinear", antialias=True)
    else:  # no uint8 kernel elsewhere
        resized = interpolate(planes.float(), size=size, mode="bilinear", antialias=True)
        resized = resized.round_().clamp_(0, 255).to(torch.uint8)
    return resized.permute(0, 2, 3, 1).contiguous()
