"""The hypervolume that points dominate: the quality of a set of trade-offs in any number of measures."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence

Point = tuple[float, ...]


def hypervolume(points: Iterable[Sequence[float]], corner: Sequence[float]) -> float:
    """The volume that ``points``, whose numbers are better the smaller they are, dominate up to ``corner``.

    A place belongs to it if it is better than the corner in every number, and some point is at least as good as the
    place in every number. A point that does not beat the corner in every number adds nothing.

    Exact, by slicing (HSO; While, Hingston, Barone and Huband, "A Faster Algorithm for Calculating Hypervolume", IEEE
    TEC 2006): the volume is cut at each point's first number, and what a slice covers in the others is a smaller
    problem of the same kind. Time grows with ``len(points) ** (len(corner) - 1)``: for tens of points in four
    dimensions.

    Raises:
        ValueError: the corner has fewer than two numbers, or a point has another number of them.
    """
    if len(corner) < 2:
        raise ValueError(f"a hypervolume has at least two dimensions, not {len(corner)}")
    inside = {tuple(each) for each in points if _beats(each, corner)}
    return _volume(sorted(inside), tuple(corner))


def _beats(point: Sequence[float], corner: Sequence[float]) -> bool:
    # A list, so that all numbers are compared, and a point with more or fewer of them is noticed.
    return all([a < b for a, b in zip(point, corner, strict=True)])


def _volume(points: Sequence[Point], corner: Point) -> float:
    """``points`` in lexicographic order, all inside of ``corner``."""
    if len(corner) == 2:
        return _area(points, corner)
    total = 0.0
    seen: list[Point] = []  # what the slice covers: no point of it dominates another in the numbers after the first
    for index, (first, *rest) in enumerate(points):
        after = points[index + 1][0] if index + 1 < len(points) else corner[0]
        point = tuple(rest)
        if not any(_covers(other, point) for other in seen):
            seen = [other for other in seen if not _covers(point, other)]
            insort(seen, point)
        if after > first:
            total += (after - first) * _volume(seen, corner[1:])
    return total


def _area(points: Sequence[Point], corner: Point) -> float:
    area, top = 0.0, corner[1]
    for first, second in points:
        if second < top:
            area += (corner[0] - first) * (top - second)
            top = second
    return area


def _covers(first: Point, second: Point) -> bool:
    return all(a <= b for a, b in zip(first, second, strict=True))
