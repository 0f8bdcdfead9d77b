"""Activation maps against the formula in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from evaluation.features.activations import activation_maps, upsampled
from reid.data.prepare import IMAGENET_MEAN, IMAGENET_STD
from reid.errors import UserError
from reid.models.heads import DEFAULT_HEAD, build_head
from reid.models.network import ReidNetwork


class Blocks(nn.Module):
    """A backbone that numpy can do too: means of 4x4 blocks, then a channel that is the difference of two others."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        means = nn.functional.avg_pool2d(images, 4)
        return torch.cat([means, means[:, :1] - means[:, 1:2]], dim=1)


def network() -> ReidNetwork:
    return ReidNetwork(Blocks(), build_head(DEFAULT_HEAD, 4))


def test_a_map_is_the_sum_of_squares_over_its_norm():
    pixels = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (5, 12, 8, 3), dtype=np.uint8))
    made = network().train()
    maps = activation_maps(made, pixels, (12, 8), "cpu", batch_size=2)
    assert made.training and made.head.training
    images = (pixels.numpy() / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    means = images.reshape(5, 3, 4, 2, 4, 3).mean(axis=(2, 4))
    channels = np.concatenate([means, means[..., :1] - means[..., 1:2]], axis=3)
    energy = (channels**2).sum(axis=3)
    expected = energy / np.sqrt((energy**2).sum(axis=(1, 2), keepdims=True))
    assert maps.shape == (5, 3, 2) and maps.dtype == torch.float32
    np.testing.assert_allclose(maps.numpy(), expected, rtol=2e-5)


def bilinear(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    """OpenCV's rule: pixel centres at half, edges repeated."""
    large = np.empty((height, width))
    for row in range(height):
        for column in range(width):
            y = np.clip((row + 0.5) * grid.shape[0] / height - 0.5, 0, grid.shape[0] - 1)
            x = np.clip((column + 0.5) * grid.shape[1] / width - 0.5, 0, grid.shape[1] - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, grid.shape[0] - 1), min(left + 1, grid.shape[1] - 1)
            above = grid[top, left] * (1 - (x - left)) + grid[top, right] * (x - left)
            below = grid[bottom, left] * (1 - (x - left)) + grid[bottom, right] * (x - left)
            large[row, column] = above * (1 - (y - top)) + below * (y - top)
    return large


def test_upsampling_is_bilinear_and_stretched():
    maps = torch.from_numpy(np.random.default_rng(2).random((2, 3, 2), dtype=np.float32))
    for grid, found in zip(maps.numpy(), upsampled(maps, (13, 9)).numpy(), strict=True):
        large = bilinear(grid, 13, 9)
        np.testing.assert_allclose(found, (large - large.min()) / (large.max() - large.min()), atol=1e-5)


def test_a_dead_map_stays_zero():
    dark = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
    dead = activation_maps(ReidNetwork(nn.Threshold(1e9, 0.0), nn.Identity()), dark, (4, 4), "cpu")
    assert not dead.any() and not upsampled(dead, (8, 8)).any()


@pytest.mark.parametrize("value", [1.0, 0.1, 0.2, 1 / 3, 8**-0.5])
def test_a_map_of_one_value_is_no_picture_of_its_rounding(value):
    """Also a network whose last map is of one place."""
    for shape in ((1, 4, 2), (1, 1, 1), (1, 8, 4)):
        for size in ((128, 64), (64, 32), (50, 23)):
            assert not upsampled(torch.full(shape, value), size).any()


def test_a_small_difference_is_stretched_all_the_same():
    grid = torch.tensor([[[1.0, 1.0], [1.0, 1.0001]]])
    found = upsampled(grid, (8, 4))
    assert (found.min(), found.max()) == (0, 1) and found[0, 7, 3] == 1


def test_a_network_without_a_map_is_refused():
    with pytest.raises(UserError, match="not its feature map.* need a checkpoint"):
        activation_maps(nn.Identity(), torch.zeros(1, 4, 4, 3, dtype=torch.uint8), (4, 4), "cpu")
