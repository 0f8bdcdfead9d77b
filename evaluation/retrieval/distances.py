"""Distances between features, a block of queries at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from reid.errors import UserError, nearest

Features = torch.Tensor | np.ndarray
"""``(N, D)``; an array, as from an ``Embedder``, is processed on the CPU."""

METRICS = ("cosine", "euclidean")

CROWDED = 0.01
"""Features crowd where their variance is less than this part of their mean squared length."""

_ROWS = 4096
"""Number of features held in float64 at once."""

_EXPONENT = 40
"""Greatest absolute exponent of 2 of numbers whose squares, and sums of thousands of those, float32 can hold."""


def pairwise_distances(query: Features, gallery: Features, metric: str = "cosine") -> torch.Tensor:
    """``(Q, G) float32`` distances between ``(Q, D)`` and ``(G, D)`` features, on their device.

    ``"cosine"`` is ``1 - cos`` in 0..2, and 1 for a feature of zeros; ``"euclidean"`` the length of the difference.
    The latter is computed in float64 (``|q|^2 + |g|^2 - 2 q.g`` cancels between near features: float32 gives
    0.01 where duplicates of 256 normal numbers should have 0), so that thresholds may be set on it.

    Raises:
        UserError: shapes or devices do not fit, a feature is NaN or infinite, or the metric is unknown.
    """
    query, gallery = check_features(query, gallery, metric)
    blocks = list(_blocks(query, gallery, metric, block=max(len(query), 1)))
    return blocks[0] if blocks else torch.empty(0, len(gallery), device=gallery.device)


def distance_blocks(
    query: Features, gallery: Features, metric: str = "cosine", block: int = 512
) -> Iterator[torch.Tensor]:
    """``pairwise_distances``, ``block`` queries at a time: ``(<=block, G)`` each, in the queries' order.

    Raises:
        UserError: as ``pairwise_distances``, at the call.
    """
    query, gallery = check_features(query, gallery, metric, block)
    return _blocks(query, gallery, metric, block)


def ranking_blocks(
    query: Features, gallery: Features, metric: str = "cosine", block: int = 512
) -> Iterator[torch.Tensor]:
    """Blocks of numbers that order each query's gallery as its distances do, and are cheaper.

    They are ``-cos`` (without the rounding of ``1 - cos``) and ``|g|^2 - 2 q.g`` (``|q|^2`` is constant in a row), in
    float32. Features that crowd far from the origin are first moved to it; for the latter, features are also scaled so
    that float32 can hold their squares. Only the order within a row has a meaning.

    Raises:
        UserError: as ``pairwise_distances``, at the call.
    """
    query, gallery = check_features(query, gallery, metric, block)
    return _ranking_blocks(query, gallery, metric, block)


def check_features(
    query: Features, gallery: Features, metric: str = "cosine", block: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both as tensors; raises a ``UserError`` if something is wrong with features, metric or block."""
    query, gallery = as_tensor(query, "query features"), as_tensor(gallery, "gallery features")
    if metric not in METRICS:
        raise UserError(f"metric '{metric}' is unknown; known: {', '.join(METRICS)}{nearest(str(metric), METRICS)}")
    if block < 1:
        raise UserError(f"block must be at least 1 query, got {block}")
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise UserError(
            f"features must have shapes (Q, D) and (G, D), got {tuple(query.shape)} and {tuple(gallery.shape)}"
        )
    if query.device != gallery.device:
        raise UserError(f"query features are on {query.device}, gallery features on {gallery.device}; use one device")
    for name, features in (("query", query), ("gallery", gallery)):
        if not torch.isfinite(features).all():
            raise UserError(
                f"{name} features contain NaN or infinite values: the network that computed them diverged; train it "
                "again"
            )
    return query, gallery


def as_tensor(values: torch.Tensor | np.ndarray, name: str) -> torch.Tensor:
    """``values`` as a tensor; raises UserError, which begins with ``name``, for anything but a tensor or an array."""
    if isinstance(values, torch.Tensor):
        return values
    try:  # reversed and read-only arrays, which torch does not accept, are copied
        return torch.from_numpy(np.require(values, requirements=["C", "W"]))
    except (TypeError, ValueError):  # of text, of objects, of rows that are not of one length
        raise UserError(f"{name} must be a tensor or an array of numbers") from None


def _blocks(query: torch.Tensor, gallery: torch.Tensor, metric: str, block: int) -> Iterator[torch.Tensor]:
    return _cosine_blocks(query, gallery, block) if metric == "cosine" else _euclidean_blocks(query, gallery, block)


def _cosine_blocks(query: torch.Tensor, gallery: torch.Tensor, block: int) -> Iterator[torch.Tensor]:
    points = _points(query, gallery, "cosine")
    for rows, offsets in zip(_rank(points, block), points.rows.split(block), strict=True):
        yield rows.add_(offsets[:, None]).clamp_(0, 2)


def _euclidean_blocks(query: torch.Tensor, gallery: torch.Tensor, block: int) -> Iterator[torch.Tensor]:
    gallery = gallery.detach().double()
    offset = gallery.square().sum(dim=1)
    for rows in query.detach().split(block):
        rows = rows.double()
        squares = torch.addmm(offset, rows, gallery.T, alpha=-2).add_(rows.square().sum(dim=1, keepdim=True))
        yield squares.clamp_(min=0).sqrt_().float()


def _ranking_blocks(query: torch.Tensor, gallery: torch.Tensor, metric: str, block: int) -> Iterator[torch.Tensor]:
    yield from _rank(_points(query, gallery, metric), block)


@dataclass(frozen=True, eq=False)
class _Points:
    """Features ready for one float32 product: ``columns[g] - factor * query[q] . gallery[g]`` orders row q as its
    distances do; for the cosine, with ``rows[q]`` added, it is the distance.
    """

    query: torch.Tensor
    gallery: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    factor: int


def _points(query: torch.Tensor, gallery: torch.Tensor, metric: str) -> _Points:
    """Both sides as points whose distances are computed.

    Features that lie close together but far from zero differ only in the last of float32's seven digits, which a
    product of the features as they are would lose. Such features are first moved so that one image of the gallery lies
    at zero. (Not their mean: moved by one of their own, whole numbers stay whole, and equal distances stay equal.)
    """
    scale = _scale(query, gallery) if metric == "euclidean" else 1.0
    origin = _origin(gallery, metric, scale)
    query, of_query = _moved(query, metric, scale, origin)
    gallery, of_gallery = _moved(gallery, metric, scale, origin)
    if metric == "euclidean":
        return _Points(query, gallery, of_query.float(), of_gallery.float(), factor=2)
    # With m as the origin, 1 - q.g is 1 - m.m - (q - m).m - (g - m).m - (q - m).(g - m).
    rest = 1 - origin.square().sum()
    return _Points(query, gallery, (rest - of_query).float(), -of_gallery.float(), factor=1)


def _scale(query: torch.Tensor, gallery: torch.Tensor) -> float:
    """1, or, if float32 may not hold their squares, the power of 2 (so nothing is rounded) that brings the greatest
    number of both to 0.5 .. 1."""
    largest = max((float(side.detach().abs().max()) for side in (query, gallery) if side.numel()), default=0.0)
    exponent = math.frexp(largest)[1]
    return 1.0 if abs(exponent) <= _EXPONENT else 2.0 ** -max(exponent, -1000)


def _moved(
    features: torch.Tensor, metric: str, scale: float, origin: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """``(N, D) float32`` features relative to ``origin``, and ``(N,) float64``: their squared lengths, or for the
    cosine their products with ``origin``."""
    parts, products = [], []
    for exact in _exact_rows(features, metric, scale):
        exact = exact - origin
        parts.append(exact.float())
        products.append((exact * (exact if metric == "euclidean" else origin)).sum(dim=1))
    return torch.cat(parts), torch.cat(products)


def _rank(points: _Points, block: int) -> Iterator[torch.Tensor]:
    for rows in points.query.split(block):
        yield torch.addmm(points.columns, rows, points.gallery.T, alpha=-points.factor)


def _origin(gallery: torch.Tensor, metric: str, scale: float) -> torch.Tensor:
    """``(D,) float64``: the gallery image next to the gallery's mean where the images crowd, else zero."""
    count = max(len(gallery), 1)
    mean, length = gallery.new_zeros(gallery.shape[1], dtype=torch.float64), 0.0
    for exact in _exact_rows(gallery, metric, scale):
        mean += exact.sum(dim=0) / count
        length += float(exact.square().sum()) / count
    if length - float(mean.square().sum()) >= CROWDED * length:
        return torch.zeros_like(mean)
    offsets = torch.cat([(exact - mean).square().sum(dim=1) for exact in _exact_rows(gallery, metric, scale)])
    nearest = int(offsets.argmin())
    return next(_exact_rows(gallery[nearest : nearest + 1], metric, scale))[0]


def _exact_rows(features: torch.Tensor, metric: str, scale: float) -> Iterator[torch.Tensor]:
    """The features times ``scale`` in float64, some at a time; for the cosine scaled to length 1, except zeros."""
    for rows in features.detach().split(_ROWS):
        rows = rows.double() * scale
        if metric == "cosine":
            lengths = rows.norm(dim=1, keepdim=True)
            rows = rows / torch.where(lengths > 0, lengths, 1)
        yield rows
