"""The Pareto front against the definition, and its file."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from search.front import hypervolume, knees, pareto_front, write_front
from search.history import Candidate, candidate_from_dict
from supernet.arch_forms import mobilenet_v2


def _candidate(trial: int, flops: int, score: float | None, parameters: int = 1) -> Candidate:
    return Candidate(trial, "random", flops, parameters, score, None, 0.0, {"stem": 32}, mobilenet_v2())


def _dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


small = st.integers(0, 6)


@given(st.lists(st.tuples(small, st.none() | small, small), max_size=30))
def test_front_is_what_nothing_dominates(rows):
    candidates = [_candidate(i, flops, score, size) for i, (flops, score, size) in enumerate(rows)]
    scored = [c for c in candidates if c.score is not None]
    for minimise in (("flops",), ("flops", "parameters")):
        loss = {c.trial: (*(getattr(c, name) for name in minimise), -c.score) for c in scored}
        expected = {i for i, mine in loss.items() if not any(_dominates(other, mine) for other in loss.values())}
        front = pareto_front(candidates, minimise=minimise)
        assert len(front) == len(expected) and {c.trial for c in front} == expected
        assert [c.flops for c in front] == sorted(c.flops for c in front)


def test_front_file_holds_the_candidates(tmp_path):
    front = pareto_front([_candidate(0, 5, 0.2), _candidate(1, 4, 0.3), _candidate(2, 9, 0.9)])
    rows = json.loads(write_front(tmp_path / "front.json", front).read_text())
    assert tuple(map(candidate_from_dict, rows)) == front and [c.trial for c in front] == [1, 2]


@given(st.lists(st.tuples(small, small), max_size=12))
def test_hypervolume_is_the_number_of_dominated_cells(points):
    covered = {(x, y) for cost, score in points for x in range(cost, 6) for y in range(1, score)}
    assert hypervolume(points, 6, 1) == len(covered)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=15), st.integers(1, 6))
def test_knees_are_members_with_the_best_score_among_them(rows, count):
    front = pareto_front([_candidate(i, flops, score) for i, (flops, score) in enumerate(rows)])
    chosen = knees(front, count)
    assert len(chosen) == min(count, len(front)) and {each.trial for each in chosen} <= {each.trial for each in front}
    assert chosen[0].score == max(each.score for each in front)
    assert [each.score for each in chosen] == sorted((each.score for each in chosen), reverse=True)


def test_the_second_knee_is_where_the_front_bends():
    front = pareto_front([_candidate(i, *row) for i, row in enumerate([(1, 0.1), (2, 0.5), (3, 0.52), (9, 0.6)])])
    assert [each.flops for each in knees(front, 2)] == [9, 2]
