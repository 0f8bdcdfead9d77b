"""The networks that are timed, by name, and their training images."""

from __future__ import annotations

import torch
from torch import nn

from reid.data.records import ImageSet
from reid.engine.recipe import Recipe
from supernet.catalog import build, find_network


def make_network(name: str, size: tuple[int, int]) -> nn.Module:
    """The network of an arch or backbone, with weights of seed 0."""
    torch.manual_seed(0)
    return build(find_network(name, [], size, size, 1)[0])


def noise(size: tuple[int, int], recipe: Recipe) -> ImageSet:
    """16 images of each of 64 identities, or of as many as the recipe's batch has."""
    generator = torch.Generator().manual_seed(0)
    pids = torch.arange(max(64, recipe.identities)).repeat_interleave(16)
    pixels = torch.randint(0, 256, (len(pids), *size, 3), dtype=torch.uint8, generator=generator)
    return ImageSet(pixels, pids, torch.zeros_like(pids))
