"""Images blended with others of their batch: they have no identity, but a teacher has an output for them."""

from __future__ import annotations

import torch


def blended(images: torch.Tensor, most: float) -> torch.Tensor:
    """Each of ``images (N, 3, H, W)``, with a share of another of them laid over it.

    The share is drawn for each image, uniformly from 0 to ``most``; a random permutation pairs the images (some may get
    themselves). ``most`` above a half makes no sense: the other image would then dominate. mixup is by Zhang et al.
    2018; that a student learns more from its teacher on such images, with uniform shares, is by Beyer et al. 2022.

    Drawn from torch's generator of the images' device, without waiting for it.
    """
    shares = most * torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)
    others = torch.rand(len(images), device=images.device).argsort()
    return torch.lerp(images, images[others], shares)
