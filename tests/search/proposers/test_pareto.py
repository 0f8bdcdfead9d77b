"""NSGA-II: selection against the paper's words, and its front against random search's."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from random import Random

import numpy as np
import pytest

from reid.errors import UserError
from search.config import SearchConfig
from search.front import pareto_front
from search.front.hypervolume import hypervolume
from search.limits import Limits, make_region
from search.proposers.pareto import ParetoProposer
from search.proposers.random import RandomProposer
from supernet.files import load_space

CONFIG = SearchConfig(population=16, sample_size=4)


def _trade_off(arch) -> float:
    """Grows less and less with width and length, as accuracy does, and asks for equal depths in the middle."""
    kernels = [1 + 0.1 * sum(block.kernel == 5 for block in stage.blocks) for stage in arch.stages]
    widths = [(stage.width * number) ** 0.5 for number, stage in enumerate(arch.stages, start=1)]
    uneven = abs(len(arch.stages[1].blocks) - len(arch.stages[2].blocks))
    return sum(a * b for a, b in zip(widths, kernels, strict=True)) - 2 * uneven


def _latency(arch) -> float:
    """Not in step with FLOPs."""
    return sum(len(stage.blocks) + 10 / stage.width for stage in arch.stages)


def _areas(fronts, cost: str, limit: float) -> list[float]:
    """The hypervolume of each front, up to the lowest score on any of them."""
    lowest = min(each.score for front in fronts for each in front)
    return [hypervolume([(getattr(each, cost), -each.score) for each in front], (limit, -lowest)) for front in fronts]


def test_front_dominates_more_than_random_search(make_band, search):
    region = make_band(0.6)
    for seed in range(4):
        found = [search(kind, region, CONFIG, seed, 160, _trade_off) for kind in (ParetoProposer, RandomProposer)]
        pareto, random = _areas([pareto_front(each) for each in found], "flops", region.upper)
        assert pareto > 1.1 * random


def test_front_dominates_more_of_latency_too(search):
    """With a target the cost is predicted latency."""
    region = make_region(load_space("tiny"), Limits(flops=6_000_000), latency=_latency)
    fronts = []
    for kind in (ParetoProposer, RandomProposer):
        found = search(kind, region, CONFIG, 0, 160, _trade_off)
        assert all(candidate.latency_ms == _latency(candidate.arch) for candidate in found)
        fronts.append(pareto_front(found, minimise=("latency_ms",)))
    pareto, random = _areas(fronts, "latency_ms", max(each.latency_ms for front in fronts for each in front))
    assert pareto > 1.1 * random


def test_the_front_survives(make_band, search):
    """No member of the front so far is forgotten while there is room, and its ends never are."""
    region, config = make_band(0.6), SearchConfig(population=8, sample_size=4)
    found = search(ParetoProposer, region, config, 3, 96, _trade_off)
    proposer, sizes = ParetoProposer(region, config, 3), set()
    for start in range(0, 96, 8):
        proposer.observe(found[start : start + 8])
        front = [each.trial for each in pareto_front(found[: start + 8])]
        survivors = [each.trial for each in proposer._living]
        assert len(survivors) == 8 == len(set(survivors))
        assert set(front) <= set(survivors) if len(front) <= 8 else {front[0], front[-1]} <= set(survivors)
        sizes.add(len(front) <= 8)
    assert sizes == {True, False}  # both cases were met


def test_tournament_prefers_rank_then_room(make_band, search):
    region = make_band(0.6)
    proposer = ParetoProposer(region, CONFIG, 0)
    proposer.observe(search(ParetoProposer, region, CONFIG, 0, 16, _trade_off))
    genomes = [each.genome for each in proposer._living]
    draws = [genomes.index(proposer._parent(Random(seed))) for seed in range(2000)]
    wins = [0.0] * 16
    for first, second in permutations(range(16), 2):  # which of two is met first decides between equals
        wins[second if proposer._fitness[second] < proposer._fitness[first] else first] += 1 / (16 * 15)
    for place, share in enumerate(wins):
        assert abs(draws.count(place) - 2000 * share) <= 4 * (2000 * share) ** 0.5
    assert len({rank for rank, _ in proposer._fitness}) > 2 and max(wins) > 0.1 > 0.01 > min(wins)


COSTS = ("flops", "latency_ms", "parameters")
ALL = replace(CONFIG, front=("flops", "latency", "parameters"), target="onnx-cpu-1t")


@pytest.fixture(scope="module")
def timed_region():
    return make_region(load_space("tiny"), Limits(flops=6_000_000), latency=_latency)


def test_front_over_all_costs_dominates_more_than_random_search(timed_region, search):
    kinds = (ParetoProposer, RandomProposer)
    fronts = [pareto_front(search(kind, timed_region, ALL, 0, 120, _trade_off), COSTS) for kind in kinds]
    losses = [[(*(getattr(each, cost) for cost in COSTS), -each.score) for each in front] for front in fronts]
    corner = np.array([*losses[0], *losses[1]]).max(axis=0)
    # In shares of the corner, so that the volume is of the order of 1; negative scores count from 0.
    scale = np.abs(corner)
    pareto, random = (hypervolume((np.array(each) / scale).tolist(), corner / scale) for each in losses)
    assert pareto > 1.1 * random


def test_the_living_are_ranked_by_all_costs(timed_region, search):
    """Rank 0 is the front over them; of FLOPs alone it is a part of that."""
    found = search(ParetoProposer, timed_region, ALL, 1, 40, _trade_off)
    proposer = ParetoProposer(timed_region, replace(ALL, population=40), 1)
    proposer.observe(found)
    first = {each.trial for each, (rank, _) in zip(proposer._living, proposer._fitness, strict=True) if rank == 0}
    assert first == {each.trial for each in pareto_front(found, COSTS)} > {each.trial for each in pareto_front(found)}
    for candidate in found:
        cheaper = [
            each.score for each in found if all(getattr(each, cost) <= getattr(candidate, cost) for cost in COSTS)
        ]
        assert proposer._best_up_to([getattr(candidate, cost) for cost in COSTS]) == max(cheaper)
    assert proposer._best_up_to((0, 0, 0)) == min(each.score for each in found)


def test_costs_are_what_they_were_where_none_is_named(timed_region, make_band, search):
    """And the order of their names is nothing that a search goes by."""

    def archs(region, *front):
        config = replace(ALL, population=8, front=front or None)
        return [each.arch for each in search(ParetoProposer, region, config, 2, 24, _trade_off)]

    assert archs(timed_region) == archs(timed_region, "latency") != archs(timed_region, "flops")
    assert archs(make_band(0.6)) == archs(make_band(0.6), "flops") != archs(make_band(0.6), "parameters")
    assert archs(timed_region, "flops", "parameters") == archs(timed_region, "parameters", "flops")


def test_latency_needs_a_prediction(make_band):
    with pytest.raises(UserError, match="search.front=flops,latency,parameters: latency needs a target"):
        ParetoProposer(make_band(0.6), ALL, 0)
