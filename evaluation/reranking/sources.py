"""Squared distances among queries and gallery together, by blocks of rows and by pairs.

Re-ranking needs all ``N = Q + G`` images against each other. Image ``i`` is query ``i`` for ``i < Q`` and gallery
image ``i - Q`` otherwise. Nothing here allocates ``(N, N)`` numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch

GATHERED = 1 << 17  # float64 numbers of features that are gathered at once: 1 MiB stays in the cache
UNIT_ROUNDOFF = 2.0**-24  # of float32


class Distances(Protocol):
    """Squared distances, as ``nearest_neighbours`` and the blending use them.

    Attributes:
        queries: Q.
        images: N = Q + G.
    """

    queries: int
    images: int

    def rows(self, start: int, stop: int) -> np.ndarray:
        """``(stop - start, N)`` squared distances of these images to all, each off by ``slack`` at most."""

    def slack(self, start: int, stop: int) -> np.ndarray:
        """``(stop - start,)`` bounds on the error of ``rows``."""

    def pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """``(P,) float64`` squared distances of image ``first[p]`` to ``second[p]``, without that error."""


class FeatureDistances:
    """Squared Euclidean distances of ``(Q, D)`` and ``(G, D)`` features; for ``"cosine"`` of the features at length 1,
    which is ``2 (1 - cos)``.

    Rows are float32 matrix products, on the features' device. Pairs are float64 sums of squared differences of the
    features as given, on the CPU: two equal features are at distance 0 and at the same distance to any third.
    """

    def __init__(self, query: torch.Tensor, gallery: torch.Tensor, metric: str) -> None:
        features = torch.cat([query.detach(), gallery.detach()])
        if features.dtype not in (torch.float32, torch.float64):
            features = features.float() if features.is_floating_point() else features.double()
        self.queries, self.images = len(query), len(features)
        self._features = features.cpu().numpy()
        self._factor = np.ones(self.images)
        self._step = max(1, GATHERED // features.shape[1])
        parts = [np.arange(start, min(start + self._step, self.images)) for start in range(0, self.images, self._step)]
        if metric == "cosine":
            lengths = np.sqrt(np.concatenate([_sums(np.square(self._exact(part))) for part in parts]))
            self._factor = 1 / np.where(lengths > 0, lengths, 1)  # a feature of zeros stays

        # A row's greatest distance is no less than that to the origin, where the origin is one of the images. So
        # errors relative to the squared lengths below are as small relative to the row maximum, wherever the
        # features lie. The image next to the mean keeps the lengths short.
        mean = sum(self._exact(part).sum(axis=0) / self.images for part in parts)
        offsets = np.concatenate([_sums(np.square(self._exact(part) - mean)) for part in parts])
        origin = self._exact(offsets.argmin(keepdims=True))
        largest = max(float(np.abs(self._exact(part) - origin).max()) for part in parts)
        scale = 2.0 ** -max(math.frexp(largest)[1], -1000)  # a power of 2 scales without rounding
        self._factor *= scale
        origin *= scale
        # Where the program lets a GPU take TF32 for float32, its products are not exact enough for ``slack``.
        exact = features.is_cpu or torch.get_float32_matmul_precision() == "highest"
        dtype = np.float32 if exact else np.float64
        centred = np.concatenate([(self._exact(part) - origin).astype(dtype) for part in parts])
        squares = np.square(centred).sum(axis=1, keepdims=True)
        # [-2 x, 1, |x|^2] times [y, |y|^2, 1] is the whole distance: one product, no pass over the block after it.
        self._points = np.concatenate([centred, squares, np.ones_like(squares)], axis=1)
        self._lengths = np.sqrt(squares[:, 0])
        self._times_points = multiplier(self._points.T, features.device)

    def rows(self, start: int, stop: int) -> np.ndarray:
        centred, squares, ones = np.split(self._points[start:stop], [-2, -1], axis=1)
        return self._times_points(np.concatenate([-2 * centred, ones, squares], axis=1))

    def slack(self, start: int, stop: int) -> np.ndarray:
        # |fl(x.y) - x.y| <= gamma_n |x|.|y| for n products in any order (Higham, Accuracy and Stability, 3.1); the
        # few further roundings, centring among them, are in the 16.
        gamma = (self._points.shape[1] + 16) * UNIT_ROUNDOFF
        return gamma / (1 - gamma) * np.square(self._lengths[start:stop] + self._lengths.max())

    def pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        distances = np.empty(len(first))
        for start in range(0, len(first), self._step):
            part = slice(start, start + self._step)
            difference = self._exact(first[part])
            difference -= self._exact(second[part])
            distances[part] = _sums(np.square(difference, out=difference))
        return distances

    def _exact(self, index: np.ndarray) -> np.ndarray:
        """The features of these images, scaled, in float64."""
        return np.multiply(self._features[index], self._factor[index, None], dtype=np.float64)


def multiplier(right: np.ndarray, device: torch.device) -> Callable[[np.ndarray], np.ndarray]:
    """The function that multiplies an array by ``right``, by torch on ``device`` or by numpy on the CPU.

    numpy's product (OpenBLAS) is 1.7 times as fast as torch's (MKL) on an AMD CPU.
    """
    if device.type == "cpu":
        return lambda left: left @ right
    there = torch.from_numpy(right).to(device)

    def multiply(left: np.ndarray) -> np.ndarray:
        with torch.autocast(device.type, enabled=False):
            return (torch.from_numpy(left).to(device) @ there).cpu().numpy()

    return multiply


def _sums(rows: np.ndarray) -> np.ndarray:
    """``(P,)`` sums of the rows of ``(P, D)``, which are overwritten.

    Halves are added until one column is left: unlike ``sum``, this adds in the same order wherever a row stands, so
    that equal rows have equal sums.
    """
    width = rows.shape[1]
    while width > 1:
        half = width // 2
        rows[:, :half] += rows[:, width - half : width]
        width -= half
    return rows[:, 0]
