"""The Pareto front against the definition, and its file."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from search.front import cost_fields, knees, pareto_front, words_of, write_front
from search.front.hypervolume import hypervolume
from search.history import Candidate, candidate_from_dict
from supernet.files import mobilenet_v2


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


def test_candidates_that_lack_a_field_are_left_out():
    known, unknown = replace(_candidate(1, 5, 0.5), latency_ms=2.0), _candidate(0, 1, 0.9)
    assert pareto_front([unknown, known], minimise=("latency_ms",)) == (known,)
    assert pareto_front([unknown, known]) == (unknown,)


def test_equals_stay_in_the_order_of_their_trials():
    front = pareto_front([_candidate(trial, 5, 0.5) for trial in (3, 1, 2)])
    assert [each.trial for each in front] == [1, 2, 3]
    assert [each.trial for each in knees(front[::-1], 2)] == [1, 2]
    assert knees((), 2) == ()


def test_front_file_holds_the_candidates(tmp_path):
    front = pareto_front([_candidate(0, 5, 0.2), _candidate(1, 4, 0.3), _candidate(2, 9, 0.9)])
    rows = json.loads(write_front(tmp_path / "front.json", front).read_text())
    assert tuple(map(candidate_from_dict, rows)) == front and [c.trial for c in front] == [1, 2]


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


def test_a_further_knee_adds_to_those_that_are_taken():
    """(2.5, 0.82) alone dominates more than (6, 0.95), but most of it is what (2, 0.8) does already."""
    rows = [(1, 0.1), (2, 0.8), (2.5, 0.82), (6, 0.95), (10, 1.0)]
    front = pareto_front([_candidate(i, *row) for i, row in enumerate(rows)])
    assert [each.flops for each in knees(front, 2)] == [10, 2]
    assert [each.flops for each in knees(front, 3)] == [10, 6, 2]  # best score first


several = st.lists(st.tuples(*[st.integers(0, 9)] * 3, st.integers(1, 9)), min_size=1, max_size=9)
COSTS = ("flops", "latency_ms", "parameters")


def _front(rows) -> tuple[Candidate, ...]:
    candidates = []
    for trial, (flops, latency, parameters, score) in enumerate(rows):
        candidates.append(replace(_candidate(trial, flops, score, parameters), latency_ms=latency))
    return pareto_front(candidates, COSTS)


@settings(deadline=None, max_examples=40)
@given(several, st.integers(1, 4))
def test_knees_of_several_costs_add_most_volume_each(rows, count):
    """After the best score each adds most, and they come to at least 1 - 1/e of what the best set of one fewer does
    (Nemhauser, Wolsey and Fisher 1978; the first one is not chosen by volume)."""
    front = _front(rows)
    losses = {each.trial: tuple(getattr(each, cost) for cost in COSTS) + (-each.score,) for each in front}
    corner = [max(column) for column in zip(*losses.values(), strict=True)]

    def volume(trials) -> float:
        return hypervolume([losses[trial] for trial in trials], corner)

    chosen = {each.trial for each in knees(front, count, COSTS)}
    assert len(chosen) == min(count, len(front))
    grown = {each.trial for each in knees(front, 1, COSTS)}
    assert {each.score for each in front if each.trial in grown} == {max(each.score for each in front)}
    for size in range(2, count + 1):
        before, grown = grown, {each.trial for each in knees(front, size, COSTS)}
        assert before <= grown <= chosen
        assert volume(grown) == max(volume(before | {trial}) for trial in losses)
    best = max(volume(trials) for trials in combinations(losses, max(0, len(chosen) - 1)))
    assert volume(chosen) >= (1 - 1 / 2.718281828) * best - 1e-9


@settings(deadline=None, max_examples=40)
@given(several, st.tuples(*[st.integers(-3, 20)] * 3))
def test_units_of_costs_do_not_matter_to_knees(rows, powers):
    """Powers of two, so that nothing is rounded."""
    scaled = [(*(cost * 2.0**power for cost, power in zip(row, powers, strict=False)), row[3]) for row in rows]
    wanted, got = (knees(_front(each), 4, COSTS) for each in (rows, scaled))
    assert [each.trial for each in got] == [each.trial for each in wanted]


def test_the_second_knee_is_cheap_by_some_cost():
    """Nearly as good as the best: trial 1 at a fifth of the FLOPs, trial 2 at a fifth of the parameters. With both as
    costs they are the knees after the best; by one alone only one of them is on the front beside it."""
    rows = [(10, 10, 0.9), (2, 9, 0.8), (9, 2, 0.79), (9.5, 9.5, 0.85), (1, 1, 0.1)]
    candidates = [_candidate(i, flops, score, parameters) for i, (flops, parameters, score) in enumerate(rows)]
    both = ("flops", "parameters")
    assert [each.trial for each in knees(pareto_front(candidates, both), 3, both)] == [0, 1, 2]
    assert [each.trial for each in pareto_front(candidates)] == [4, 1, 3, 0]


def test_costs_are_fields_in_one_order():
    assert cost_fields(None, timed=False) == ("flops",) and cost_fields(None, timed=True) == ("latency_ms",)
    assert cost_fields(("parameters", "latency", "flops"), timed=True) == COSTS
    assert cost_fields(("parameters",), timed=True) == ("parameters",)
    assert words_of(COSTS) == "FLOPs, latency and parameters" and words_of(COSTS[:2]) == "FLOPs and latency"
    assert words_of(COSTS[1:2]) == "latency" and words_of(COSTS[1:2], score=True) == "score and latency"
    assert words_of(COSTS[:2], score=True) == "score, FLOPs and latency"
