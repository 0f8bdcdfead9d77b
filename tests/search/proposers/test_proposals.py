"""Proposals of every strategy: within the limits, never twice, complete in small spaces, and of earlier generations
alone."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.config import SearchConfig
from search.costs import CostTable
from search.limits import Limits, archs_downwards, make_region
from search.proposers import STRATEGIES
from supernet.files import load_space
from supernet.space import Space, StageSpace, decode
from supernet.space.genome import contains, crossover, encode, mutate, sample

TINY = load_space("tiny")
TABLE = CostTable()
KINDS = list(STRATEGIES.values())
MANY = Space(
    "many",
    (16, 8),
    (4, 8),
    (
        StageSpace(1, (4, 8, 12, 16), (1, 2), (3, 5, 7), (1, 2)),
        StageSpace(2, (8, 16, 24, 32), (1, 2), (3, 5, 7), (1, 2)),
    ),
    (16, 32),
)


def _latency(arch) -> float:
    """Not in step with FLOPs: what counts is layers and, a little, how wide they are."""
    return sum(1 + block.kernel**2 / 20 + stage.width / 40 for stage in arch.stages for block in stage.blocks)


@pytest.mark.parametrize("kind", KINDS)
def test_limits_hold_over_ten_thousand_proposals(kind, search):
    """In all: 3,400 of each strategy."""
    table = TABLE
    limits = Limits(flops=110_000, latency_ms=12.0, parameters=7_000)
    region = make_region(MANY, limits, 0.2, table=table, latency=_latency)
    # A band of few parts is quickly drawn from; a large family has new children for long.
    config = SearchConfig(population=2 if kind is STRATEGIES["random"] else 100, sample_size=2)
    found = search(kind, region, config, 3, 3_400, lambda arch: table.flops(arch) % 9973)
    assert len(found) == 3_400 == len({candidate.arch for candidate in found})
    for candidate in found:
        arch = candidate.arch
        costs = (table.flops(arch), _latency(arch), table.parameters(arch))
        assert region.lower <= costs[0] <= 110_000 and costs[1] <= 12.0 and costs[2] <= 7_000
        assert (candidate.flops, candidate.latency_ms, candidate.parameters) == costs
        assert contains(MANY, arch)
    # Each limit alone keeps something out, or the test says nothing of it.
    drawn = [decode(MANY, sample(MANY, Random(seed))) for seed in range(300)]
    assert max(map(table.flops, drawn)) > 110_000 and max(map(_latency, drawn)) > 12.0
    assert max(map(table.parameters, drawn)) > 7_000 and min(map(table.flops, drawn)) < region.lower


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("lower", "upper"), [(0.0, 0.02), (0.25, 0.3), (0.0, 1.0)])
def test_narrow_and_wide_bands_are_kept(kind, lower, upper, make_band, search):
    region = make_band(upper, lower)
    found = search(kind, region, SearchConfig(), 3, 300)
    assert len(found) == 300 or upper == 0.02
    assert all(region.lower <= region.table.flops(candidate.arch) <= region.upper for candidate in found)
    assert len({candidate.arch for candidate in found}) == len(found)
    assert all(contains(TINY, candidate.arch) for candidate in found)


small_space = st.builds(
    Space,
    name=st.just("drawn"),
    input_size=st.just((8, 8)),
    stems=st.sampled_from([(4,), (4, 8)]),
    stages=st.lists(
        st.builds(
            StageSpace,
            stride=st.sampled_from([1, 2]),
            widths=st.sampled_from([(4,), (4, 8)]),
            depths=st.sampled_from([(1,), (1, 2)]),
            kernels=st.sampled_from([(3,), (3, 5)]),
            expands=st.sampled_from([(1,), (1, 2)]),
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
    last_widths=st.sampled_from([(8,), (0, 8)]),
)


@settings(deadline=None, max_examples=25)
@given(small_space, st.floats(0, 1), st.integers(0, 10**6), st.sampled_from(KINDS), st.integers(1, 9))
def test_small_spaces_are_searched_to_the_last_arch(make_band, search, space, share, seed, kind, generation):
    region = make_band(share * 0.5, space=space)  # half of the range is at most a few hundred archs
    wanted = {arch for _, arch in archs_downwards(region)}  # tested against brute force in test_region
    if len(wanted) > 150:
        return
    config = SearchConfig(population=8, sample_size=3, generation=generation)
    found = search(kind, region, config, seed, 10**6)
    assert {candidate.arch for candidate in found} == wanted and len(found) == len(wanted)
    half = found[: len(found) // 2 // generation * generation]
    assert search(kind, region, config, seed, 10**6, history=half) == found  # a resumed search knows what it was told


@given(st.integers(0, 10**9), st.floats(0, 1))
def test_mutation_and_crossover_stay_in_the_space(seed, probability):
    random = Random(seed)
    first, second = sample(TINY, random), sample(TINY, random)
    child = crossover(TINY, first, second, random)
    assert all(child[name] in (first[name], second[name]) for name in TINY.dimensions())
    mutant = mutate(TINY, child, probability, random)
    assert all(mutant[name] in options for name, options in TINY.dimensions().items())
    arch = decode(TINY, mutant)
    assert contains(TINY, arch) and decode(TINY, encode(TINY, arch)) == arch


@pytest.mark.parametrize("kind", KINDS)
def test_first_population_is_spread_over_the_band(kind, make_band, search):
    region = make_band(0.5)
    first = search(kind, region, SearchConfig(population=20, sample_size=5), 0, 20)
    step = (region.upper - region.lower) / 20
    parts = sorted(min(19, int((candidate.flops - region.lower) / step)) for candidate in first)
    assert parts == list(range(20)) and {candidate.origin for candidate in first} == {"random"}


@pytest.mark.parametrize("kind", KINDS)
def test_another_seed_draws_other_archs_in_another_order(kind, make_band, search):
    region = make_band(0.5)
    pair, many = SearchConfig(population=2, sample_size=2), SearchConfig(population=20, sample_size=5)
    # In a band of two parts some seeds begin with the same one: there it is the draw alone that differs.
    begun = {search(kind, region, pair, seed, 1)[0].arch for seed in range(6)}
    assert len(begun) == 6 and search(kind, region, pair, 0, 1)[0].arch in begun
    costs = [[candidate.flops for candidate in search(kind, region, many, seed, 20)] for seed in (1, 2)]
    assert len({tuple(sorted(range(20), key=each.__getitem__)) for each in costs}) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_generation_knows_earlier_ones_alone(kind, make_band, search, evaluated, score):
    """Whatever the scores of a generation, its own archs stay; those of the next ones change."""
    region, config = make_band(0.5), SearchConfig(population=8, sample_size=3, generation=5)
    found = search(kind, region, config, 2, 30)
    other = [*found[:20], *(replace(candidate, score=-candidate.score) for candidate in found[20:25])]
    again = search(kind, region, config, 2, 30, history=other)
    assert [each.arch for each in again[:25]] == [each.arch for each in found[:25]]
    changed = [each.arch for each in again[25:]] != [each.arch for each in found[25:]]
    assert changed == (STRATEGIES["random"] is not kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("asked", [1, 3])
def test_the_start_of_a_generation_does_not_depend_on_how_much_of_it_is_asked_for(kind, asked, make_band, search):
    region, config = make_band(0.5), SearchConfig(population=8, sample_size=3, generation=5)
    found = search(kind, region, config, 2, 30)
    cut = search(kind, region, config, 2, 25 + asked, history=found[:25])
    assert [each.genome for each in cut] == [each.genome for each in found[: 25 + asked]]
