"""Sorting into fronts and crowding against loops that follow the paper's words."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from search.front.dominance import crowding_distances, domination_ranks

points = st.integers(1, 3).flatmap(
    lambda columns: st.lists(st.lists(st.integers(0, 5), min_size=columns, max_size=columns), min_size=1, max_size=25)
)


def _ranks(rows: list[list[int]]) -> list[int]:
    """Fronts are taken off one by one."""
    left, ranks, rank = set(range(len(rows))), [-1] * len(rows), 0
    while left:
        front = {
            i
            for i in left
            if not any(all(a <= b for a, b in zip(rows[j], rows[i], strict=True)) and rows[j] != rows[i] for j in left)
        }
        for i in front:
            ranks[i] = rank
        left -= front
        rank += 1
    return ranks


@given(points)
def test_ranks_are_those_of_fronts_taken_off_one_by_one(rows):
    assert domination_ranks(np.array(rows, float)).tolist() == _ranks(rows)


def test_no_points_have_no_ranks():
    assert domination_ranks(np.empty((0, 2))).tolist() == []
    assert crowding_distances(np.empty((0, 2)), np.empty(0, int)).tolist() == []


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20, unique=True))
def test_crowding_is_the_side_of_the_box_between_neighbours(rows):
    losses = np.array(rows, float)
    ranks = domination_ranks(losses)
    got = crowding_distances(losses, ranks)
    for rank in set(ranks.tolist()):
        # A front of two distinct columns without ties: ascending in one is descending in the other.
        front = sorted((tuple(losses[index]), index) for index in range(len(losses)) if ranks[index] == rank)
        for place, ((x, _), index) in enumerate(front):
            if place in (0, len(front) - 1):
                assert got[index] == np.inf
                continue
            (left, above), (right, below) = front[place - 1][0], front[place + 1][0]
            (first, top), (last, bottom) = front[0][0], front[-1][0]
            expected = (right - left) / (last - first) + (above - below) / (top - bottom)
            assert left < x < right and abs(got[index] - expected) < 1e-9


@settings(deadline=None, max_examples=50)
@given(
    st.integers(3, 4).flatmap(
        lambda columns: st.lists(st.tuples(*[st.integers(0, 50)] * columns), min_size=1, max_size=20, unique=True)
    )
)
def test_crowding_of_several_costs_follows_the_paper(rows):
    """crowding-distance-assignment of the paper, as it is written there, front by front."""
    losses = np.array(rows, float)
    ranks, expected = domination_ranks(losses), np.zeros(len(rows))
    for rank in set(ranks.tolist()):
        members = [index for index in range(len(rows)) if ranks[index] == rank]
        for column in range(losses.shape[1]):
            ordered = sorted(members, key=lambda index: losses[index, column])
            extent = losses[ordered[-1], column] - losses[ordered[0], column]
            expected[ordered[0]] = expected[ordered[-1]] = np.inf
            for before, index, after in zip(ordered, ordered[1:], ordered[2:], strict=False):
                expected[index] += (losses[after, column] - losses[before, column]) / (extent or 1)
    np.testing.assert_allclose(crowding_distances(losses, ranks), expected)
