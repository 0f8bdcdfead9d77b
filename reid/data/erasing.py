"""Random erasing: sets a rectangle of an image to the mean (Zhong et al. 2017, "Random Erasing")."""

from __future__ import annotations

import torch

ERASE_TRIES = 20
"""Rectangles drawn for each image, of which the first that fits is erased. Zhong et al.'s code tries 100
times; at 256x128 and 128x64 with the usual areas one in 17 does not fit, so that 20 fail once in 10^24."""


def draw_boxes(
    count: int, size: tuple[int, int], share: tuple[float, float], least_ratio: float, generator: torch.Generator
) -> torch.Tensor:
    """``(count, 4) int64`` rectangles (see ``erase``) in images of ``size`` (height, width); all zero where none fits.

    Args:
        share: smallest and largest part of the image that a rectangle covers.
        least_ratio: r; the rectangle's height / width is uniform in r .. 1/r.
        generator: on the CPU.
    """
    height, width = size
    u = torch.rand(4, count, ERASE_TRIES, generator=generator, dtype=torch.float64)
    low, high = share
    area = (low + (high - low) * u[0]) * (height * width)
    ratio = least_ratio + (1 / least_ratio - least_ratio) * u[1]
    box_height = (area * ratio).sqrt().round()
    box_width = (area / ratio).sqrt().round()
    fits = (box_height < height) & (box_width < width)
    top = (u[2] * (height - box_height + 1)).floor()
    left = (u[3] * (width - box_width + 1)).floor()
    boxes = torch.stack([top, left, box_height, box_width], dim=-1).long()
    first = fits.int().argmax(dim=1)
    return boxes[torch.arange(count), first] * fits.any(dim=1)[:, None]


def erase(images: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    """Zeroes rectangles in place.

    Args:
        images: ``(N, 3, h, w)`` in channels-last memory.
        box: ``(N, 4) int64``, top, left, height and width of each image's rectangle; height 0 erases nothing.
    """
    return (_erase_lines if images.device.type == "cpu" else _erase_masked)(images, box)


def _erase_lines(images: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    """Zeroes the rectangles in place; ``images`` is ``(N, 3, h, w)`` in channels-last memory. For the CPU: it touches
    only the pixel rows that a rectangle crosses, and counting those would have to wait for a GPU."""
    batch, channels, height, width = images.shape
    rows, columns = _sides(box, height, width)
    image, row = rows.nonzero().unbind(1)
    kept = (~columns).float().repeat_interleave(channels, dim=1)
    lines = images.permute(0, 2, 3, 1).view(batch * height, width * channels)
    lines[image * height + row] *= kept[image]
    return images


def _erase_masked(images: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    """Same as ``_erase_lines``, on any device and without waiting for it, but it goes over every pixel."""
    rows, columns = _sides(box, *images.shape[2:])
    return images.masked_fill_((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def _sides(box: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """``(N, h) bool`` and ``(N, w) bool``: the rows and the columns that each rectangle covers."""
    top, left, box_height, box_width = box[:, :, None].unbind(1)
    row, column = torch.arange(height, device=box.device), torch.arange(width, device=box.device)
    return (row >= top) & (row < top + box_height), (column >= left) & (column < left + box_width)
