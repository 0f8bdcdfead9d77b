"""Distances, one pair at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

Points = Sequence[Sequence[float]]


def unit_rows(points: Points) -> list[list[float]]:
    """Every row at length 1; zeros stay."""
    lengths = [math.sqrt(math.fsum(value * value for value in row)) or 1.0 for row in points]
    return [[value / length for value in row] for row, length in zip(points, lengths, strict=True)]


def distance_rows(query: Points, gallery: Points, metric: str) -> list[list[float]]:
    """``Q`` rows of ``G`` distances: ``1 - cos``, or the Euclidean distance."""
    if metric == "euclidean":
        return [[math.sqrt(_square(one, other)) for other in gallery] for one in query]
    units = unit_rows(gallery)
    return [
        [1 - math.fsum(a * b for a, b in zip(one, other, strict=True)) for other in units] for one in unit_rows(query)
    ]


def squared_rows(points: Points, metric: str) -> list[list[float]]:
    """``N`` rows of ``N`` squared Euclidean distances; for the cosine of the points at length 1."""
    points = unit_rows(points) if metric == "cosine" else points
    return [[_square(one, other) for other in points] for one in points]


def _square(one: Sequence[float], other: Sequence[float]) -> float:
    return math.fsum((a - b) * (a - b) for a, b in zip(one, other, strict=True))
