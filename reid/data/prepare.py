"""Conversion of stored pixels to the input of a network, and back."""

from __future__ import annotations

import functools

import torch
from torch.nn.functional import interpolate

from reid.transfer import to_device

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def prepare(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Input images for a network: resized and normalised with ImageNet's mean and standard deviation.

    Args:
        images: ``(N, H, W, 3) uint8`` on any device.
        size: height h and width w of the result.

    Returns:
        ``(N, 3, h, w) float32`` in channels-last memory format, on the same device.
    """
    return normalise(resize(images, size))


def pixels_of(prepared: torch.Tensor) -> torch.Tensor:
    """The exact ``(N, h, w, 3) uint8`` pixels behind the ``(N, 3, h, w) float32`` that ``prepare`` returned."""
    scale, shift = scale_and_shift(1, prepared.device)
    levels = (prepared.permute(0, 2, 3, 1) - shift) / scale
    return levels.round_().clamp_(0, 255).to(torch.uint8).contiguous()


def normalise(images: torch.Tensor) -> torch.Tensor:
    """``(N, h, w, 3)``, uint8 or float32 in 0..255, to ``(N, 3, h, w) float32`` in channels-last memory."""
    batch, height, width, channels = images.shape
    scale, shift = scale_and_shift(width, images.device)
    rows = images.reshape(batch, height, width * channels).to(torch.float32, copy=True).mul_(scale).add_(shift)
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


@functools.lru_cache(maxsize=16)
def scale_and_shift(width: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The normalisation as a factor and a summand, each ``(width * 3,) float32``: repeated along a whole row of RGB
    pixels, so that inner loops are long.

    They are cached, since every step needs the same ones. The first call may be in inference mode, whose tensors could
    not be used in training later, so that mode is turned off here."""
    with torch.inference_mode(False):
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


def resize_prepared(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """``(N, 3, H, W) float32``, already prepared or augmented, to ``(N, 3, *size)``: for an arch with a smaller input
    size than others trained in the same step."""
    if images.shape[2:] == size:
        return images
    return interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
