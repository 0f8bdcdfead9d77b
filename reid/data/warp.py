"""Rotation, shear and translation of a batch, by a separate amount for each image.

Bilinear, with black outside the image, like torchvision's ``rotate`` and ``affine`` of a float image with
``interpolation=BILINEAR``.
"""

from __future__ import annotations

import torch
from torch.nn.functional import grid_sample


def rotate(images: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
    """Turns each image around its center, counter-clockwise.

    Args:
        images: ``(N, 3, h, w) float32`` on any device.
        degrees: ``(N,) float32``, on the same device.
    """
    angle = degrees.deg2rad()
    cos, sin = angle.cos(), angle.sin()
    zero = torch.zeros_like(cos)
    return affine(images, torch.stack([cos, -sin, zero, sin, cos, zero], dim=1))


def shear(images: torch.Tensor, across: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """Pixel (x, y), counted from the image's center, shows what was at (x + across * y, y + down * x)."""
    one, zero = torch.ones_like(across), torch.zeros_like(across)
    return affine(images, torch.stack([one, across, zero, down, one, zero], dim=1))


def translate(images: torch.Tensor, right: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """Moves each image by ``(N,) float32`` pixels."""
    one, zero = torch.ones_like(right), torch.zeros_like(right)
    return affine(images, torch.stack([one, zero, -right, zero, one, -down], dim=1))


def affine(images: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Pixel (x, y) of the result shows what is at (a x + b y + c, d x + e y + f) in the image.

    Args:
        images: ``(N, 3, h, w) float32`` on any device.
        source: ``(N, 6) float32``, a to f, in pixels from the image's center, on the same device.
    """
    height, width = images.shape[2:]
    y = torch.arange(height, device=images.device, dtype=torch.float32)[:, None] - (height - 1) / 2
    x = torch.arange(width, device=images.device, dtype=torch.float32)[None] - (width - 1) / 2
    # Written out, not by affine_grid: a GPU may compute its matrix product in TF32, which is pixels off.
    a, b, c, d, e, f = source[:, :, None, None].unbind(1)
    grid = torch.stack([(a * x + b * y + c) * (2 / width), (d * x + e * y + f) * (2 / height)], dim=-1)
    return grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
