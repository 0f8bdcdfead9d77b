"""Images blended with others of their batch: of no identity, but a teacher has an opinion of them all the same."""

from __future__ import annotations

import torch


def blended(images: torch.Tensor, most: float) -> torch.Tensor:
    """Each of ``images (N, 3, H, W)``, with a share of another of them laid over it.

    The share is drawn for each image, evenly from 0 to ``most``; who is laid over whom is a random order (some may meet
    themselves). Half is the most that makes sense: beyond it the other image is the one. mixup is by Zhang et al. 2018;
    that a student learns more from its teacher on such images, with shares drawn evenly, by Beyer et al. 2022.

    Drawn from torch's generator of the images' device, without waiting for it.
    """
    shares = most * torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)
    others = torch.rand(len(images), device=images.device).argsort()
    return torch.lerp(images, images[others], shares)
