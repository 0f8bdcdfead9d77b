"""The hypervolume against the cells of a grid, inclusion and exclusion, and what scaling must do to it."""

from __future__ import annotations

from itertools import combinations, product
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.front.hypervolume import hypervolume


def _points(most: int, count: int):
    return st.integers(2, 4).flatmap(
        lambda size: st.lists(st.tuples(*[st.integers(0, most)] * size), min_size=1, max_size=count)
    )


@settings(deadline=None, max_examples=50)
@given(_points(5, 8))
def test_it_is_the_number_of_dominated_cells(points):
    """Corner at 4: points on it and beyond it add nothing."""
    cells = product(range(4), repeat=len(points[0]))
    covered = sum(any(all(a <= b for a, b in zip(point, cell, strict=True)) for point in points) for cell in cells)
    assert hypervolume(points, [4] * len(points[0])) == covered


@settings(deadline=None, max_examples=50)
@given(_points(30, 6), st.randoms(use_true_random=False))
def test_it_is_the_union_of_boxes_by_inclusion_and_exclusion(points, random):
    corner = [random.randint(1, 30) for _ in points[0]]
    union = 0
    for count in range(1, len(points) + 1):
        for chosen in combinations(points, count):
            worst = [max(column) for column in zip(*chosen, strict=True)]
            union -= (-1) ** count * prod(max(0, end - start) for end, start in zip(corner, worst, strict=True))
    assert hypervolume(points, corner) == union


def test_no_points_have_no_volume():
    assert hypervolume([], (1, 1, 1)) == 0


def test_dimensions_must_fit():
    with pytest.raises(ValueError, match="at least two"):
        hypervolume([(1,)], (2,))
    for point in ((1, 2, 3), (5, 2, 3), (1,), (5,)):
        with pytest.raises(ValueError):
            hypervolume([point], (4, 4))
