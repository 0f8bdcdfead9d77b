"""Drawing and listing archs within limits, against brute force."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import accumulate, groupby, product
from random import Random

import pytest

from reid.errors import UserError
from search.costs import CostTable, flops_range
from search.limits import Limits, Region, arch_cost, archs_downwards, listing, make_region, sample_near
from search.limits.feasibility import check_feasible, fastest, span
from search.limits.limits import ArchCost, format_least, format_limit, format_value
from supernet.files import load_space
from supernet.space import Space, StageSpace, count_archs, decode
from supernet.space.genome import largest, smallest

TABLE = CostTable()
SPACE = Space(
    name="small",
    input_size=(16, 8),
    stems=(4, 8),
    stages=(
        StageSpace(stride=1, widths=(4, 8), depths=(1, 2), kernels=(3, 5), expands=(1,)),
        StageSpace(stride=2, widths=(8,), depths=(1, 2), kernels=(3,), expands=(1, 3)),
    ),
    last_widths=(0, 16),
)


def latency(arch) -> float:
    """Grows with most choices, but a stem of 8 channels is quicker than one of 4, as on a machine with wide vectors."""
    return 1 + TABLE.flops(arch) / 1e5 - 0.4 * (arch.stem == 8) + 0.1 * arch.depth


def all_archs(space: Space) -> set:
    dims = space.dimensions()
    return {decode(space, dict(zip(dims, values, strict=True))) for values in product(*dims.values())}


ARCHS = all_archs(SPACE)
COSTS = {arch: arch_cost(arch, TABLE, latency) for arch in ARCHS}


def quantile(name: str, share: float):
    """The cost that about ``share`` of the archs do not exceed."""
    values = sorted(getattr(cost, name) for cost in COSTS.values())
    return values[round(share * (len(values) - 1))]


def some_limits(share: float) -> list[Limits]:
    """Each limit alone, then all together."""
    figures = {name: quantile(name, share) for name in ("flops", "latency_ms", "parameters")}
    return [*(Limits(**{name: figure}) for name, figure in figures.items()), Limits(**figures)]


def within(limits: Limits) -> set:
    """The archs that exceed none of the limits, one by one."""
    given = limits.given().items()
    return {arch for arch, cost in COSTS.items() if all(getattr(cost, name) <= limit for name, limit in given)}


def test_brute_force_lists_the_whole_space():
    assert len(ARCHS) == count_archs(SPACE)


@pytest.mark.parametrize("share", [0.15, 0.35, 0.8, 1.0])
@pytest.mark.parametrize("which", range(4))
def test_listing_is_complete_and_without_repeats(which, share):
    limits = some_limits(share)[which]
    region = make_region(SPACE, limits, table=TABLE, latency=latency)
    listed = [arch for _, arch in archs_downwards(region)]
    assert len(listed) == len(set(listed))
    assert set(listed) == within(limits) == {arch for arch in ARCHS if region.holds(arch)}


def test_listing_goes_through_archs_that_are_too_slow():
    """Only a wide stem together with a last layer is quick enough, and the way there is not."""

    def halting(arch) -> float:
        return {0: 5.0, 1: 4.0, 2: 1.0}[(arch.stem == 8) + (arch.last_width == 16)]

    region = make_region(SPACE, Limits(latency_ms=3.0), table=TABLE, latency=halting)
    assert {arch for _, arch in archs_downwards(region)} == {arch for arch in ARCHS if halting(arch) == 1.0}


def test_listing_takes_the_most_flops_among_those_it_knows():
    """Known are the smallest arch and those that grow from the listed ones by the next option of one choice."""
    options, region = SPACE.dimensions(), make_region(SPACE, Limits(quantile("flops", 0.8)), table=TABLE)
    known, listed = {smallest(SPACE)}, set()
    for genome, arch in archs_downwards(region):
        assert COSTS[arch].flops == max(COSTS[each].flops for each in known - listed)
        listed.add(arch)
        for name, values in options.items():
            grown = decode(SPACE, {**genome, name: values[min(values.index(genome[name]) + 1, len(values) - 1)]})
            known |= {grown} & within(region.limits)
    assert listed == within(region.limits)


def test_listing_gives_up_after_so_many_archs_in_a_row(monkeypatch):
    region, held, holds = make_region(SPACE, Limits(quantile("flops", 1)), 0.6, table=TABLE), [], Region.holds
    monkeypatch.setattr(Region, "holds", lambda self, arch: held.append(holds(self, arch)) or held[-1])
    whole = [arch for _, arch in archs_downwards(region)]
    runs = [len(list(run)) for value, run in groupby(held) if not value]
    before = list(accumulate(len(list(run)) if value else 0 for value, run in groupby(held)))
    longest = max(runs[:-1])  # behind the last run nothing is left to be found
    assert longest < runs[-1] and sum(runs[:-1]) > longest > 1
    for barren, count in ((longest + 1, len(whole)), (longest, before[2 * runs.index(longest) + held[0]])):
        monkeypatch.setattr(listing, "BARREN", barren)
        assert [arch for _, arch in archs_downwards(region)] == whole[:count]


@pytest.mark.parametrize(("name", "which"), [("flops", 0), ("latency_ms", 1), ("parameters", 2), ("flops", 3)])
def test_lower_limit_is_of_the_first_limit_that_is_set(name, which):
    limits = some_limits(0.7)[which]
    region = make_region(SPACE, limits, 0.8, table=TABLE, latency=latency)
    least = 0.8 * min(getattr(limits, name), getattr(COSTS[largest(SPACE)], name))
    wanted = {arch for arch in within(limits) if getattr(COSTS[arch], name) >= least - 0.5 * (name != "latency_ms")}
    assert {arch for _, arch in archs_downwards(region)} == wanted != within(limits)


@pytest.mark.parametrize("which", range(4))
def test_no_sample_of_10000_exceeds_a_limit(which):
    """2,500 for each of the four kinds of limits, tight ones; nearly all that they admit is drawn."""
    limits, random = some_limits(0.45)[which], Random(which)
    region = make_region(SPACE, limits, table=TABLE, latency=latency)
    step, drawn = (region.upper - region.lower) / 20, set()
    for number in range(2500):  # those far from what is wanted take long
        low, high = region.lower, region.upper
        if number % 25 == 0:
            low, high = low + number // 25 % 20 * step, low + (number // 25 % 20 + 1) * step
        genome = sample_near(region, low, high, random)
        drawn |= {decode(SPACE, genome)} if genome else set()
    assert drawn <= within(limits)
    assert len(drawn) > 0.9 * len(within(limits))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_band_reaches_the_most_flops_under_other_limits(share):
    for limits in some_limits(share):
        region = make_region(SPACE, limits, table=TABLE, latency=latency)
        most = max(COSTS[arch].flops for arch in within(limits))
        assert region.lower == min(cost.flops for cost in COSTS.values()) and 0.7 * most <= region.upper <= most


def test_listing_an_empty_band_of_a_huge_space_ends():
    stages = [StageSpace(1 + number // 4, (8, 12), (2, 3, 4), (3, 5, 7), (3, 6)) for number in range(5)]
    space = Space("huge", (16, 8), (8,), tuple(stages), (0,))
    assert count_archs(space) > 10**17
    most = flops_range(space, TABLE)[1]
    region = make_region(space, Limits(most - 1), 1 - 1e-9, table=TABLE)
    assert region.lower == region.upper == most - 1
    assert list(archs_downwards(region)) == []


@pytest.mark.parametrize("limits", [Limits(10**9), Limits(9_000_000, 2.9, 150_000)])
def test_samples_reach_every_part_of_the_band(limits):
    space = load_space("tiny")
    region = make_region(space, limits, latency=lambda arch: 2 + arch.depth / 10)
    step, random, missed = (region.upper - region.lower) / 10, Random(0), 0
    for part in range(10):
        low = region.lower + part * step
        for _ in range(10):
            arch = decode(region.space, sample_near(region, low, low + step, random))
            assert region.holds(arch)
            missed += not low <= region.table.flops(arch) <= low + step
    assert missed <= (0 if set(limits.given()) == {"flops"} else 10)


def test_sample_is_found_where_only_the_smallest_arch_is_allowed():
    least, _ = flops_range(SPACE, TABLE)
    region = make_region(SPACE, Limits(least), table=TABLE)
    for seed in range(20):
        genome = sample_near(region, least, least, Random(seed))
        assert genome is not None and TABLE.flops(decode(SPACE, genome)) == least


def test_where_no_arch_is_wanted_the_nearest_one_met_is_drawn(monkeypatch):
    """Nearest to a number of FLOPs that no arch has, of all that were met on the way and are within the limits."""
    region, admits, met = make_region(SPACE, some_limits(0.8)[3], table=TABLE, latency=latency), Region.admits, []
    monkeypatch.setattr(Region, "admits", lambda self, cost: admits(self, cost) and (met.append(cost.flops) or True))
    nowhere = round(0.6 * region.upper) + 0.5
    for seed in range(20):
        met.clear()
        genome = sample_near(region, nowhere, nowhere, Random(seed))
        assert len(set(met)) > 2
        assert abs(TABLE.flops(decode(SPACE, genome)) - nowhere) == min(abs(flops - nowhere) for flops in met)


@pytest.mark.parametrize("which", range(4))
def test_samples_climb_above_the_lower_limit(which):
    region = make_region(SPACE, some_limits(0.7)[which], 0.8, table=TABLE, latency=latency)
    for seed in range(40):
        genome = sample_near(region, region.lower, region.upper, Random(seed))
        assert genome is not None and region.holds(decode(SPACE, genome))


def test_fastest_is_the_fastest_of_all():
    genome = fastest(SPACE, COSTS.__getitem__, lambda cost: True)
    assert latency(decode(SPACE, genome)) == min(cost.latency_ms for cost in COSTS.values())


def test_impossible_limits_name_the_range_and_the_cure():
    floors = {
        name: min(getattr(cost, name) for cost in COSTS.values()) for name in ("flops", "latency_ms", "parameters")
    }
    spans = r"arch: space small spans \S+{0} to \S+{0}{1} at 16x8; give a higher limit"
    lines = {
        "flops": r"FLOPs limit \S+ is below the smallest " + spans.format("", ""),
        "latency_ms": r"latency limit \S+ ms is below the fastest " + spans.format(" ms", r" \(predicted\)"),
        "parameters": r"parameter limit \S+ is below the smallest " + spans.format("", " parameters"),
    }
    for name, least in floors.items():
        assert make_region(SPACE, Limits(**{name: least}), table=TABLE, latency=latency).limits.given() == {name: least}
        below = least - 0.01 if name == "latency_ms" else least - 1
        with pytest.raises(UserError, match=lines[name]) as caught:
            make_region(SPACE, Limits(**{name: below}), table=TABLE, latency=latency)
        high = format_value(name, getattr(COSTS[largest(SPACE)], name))
        assert f"limit {format_limit(name, below)}" in str(caught.value) and f" to {high}" in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("loose", ["flops", "latency_ms", "parameters"])
def test_limits_are_refused_together_where_brute_force_finds_nothing(share, loose):
    """One limit is less tight than the others; each of them alone leaves something."""
    limits = replace(some_limits(share)[3], **{loose: quantile(loose, 2 * share)})
    if within(limits):
        assert make_region(SPACE, limits, table=TABLE, latency=latency).limits == limits
        return
    with pytest.raises(UserError, match=r"together leave no arch of space small.*takes \S+ ms .*raise one"):
        make_region(SPACE, limits, table=TABLE, latency=latency)


def test_the_fastest_arch_within_the_other_limits_decides():
    quickest = min(COSTS.values(), key=lambda cost: cost.latency_ms)
    limits = Limits(quickest.flops - 1, quantile("latency_ms", 1))
    least = min(COSTS[arch].latency_ms for arch in within(limits))
    assert least > quickest.latency_ms
    limits = replace(limits, latency_ms=least)
    make_region(SPACE, limits, table=TABLE, latency=latency)
    assert decode(SPACE, check_feasible(SPACE, COSTS.__getitem__, limits)) in within(limits)
    with pytest.raises(UserError, match="together leave no arch"):
        make_region(SPACE, replace(limits, latency_ms=least - 1e-9), table=TABLE, latency=latency)


def test_lower_limit_above_what_other_limits_leave_is_refused():
    limits = Limits(quantile("flops", 1), quantile("latency_ms", 0.1))
    with pytest.raises(UserError, match="min_flops_fraction 0.9 .* give a fraction of at most ") as refused:
        make_region(SPACE, limits, 0.9, table=TABLE, latency=latency)
    at_most = float(str(refused.value).rpartition(" ")[2])
    assert make_region(SPACE, limits, at_most, table=TABLE, latency=latency).lower <= most_of(limits)
    with pytest.raises(UserError, match=f"give a fraction of at most {at_most:g}$"):
        make_region(SPACE, limits, at_most + 0.001, table=TABLE, latency=latency)


def most_of(limits: Limits) -> int:
    return max(COSTS[arch].flops for arch in within(limits))


def test_latency_limit_needs_a_target():
    with pytest.raises(UserError, match="target"):
        make_region(SPACE, Limits(latency_ms=5.0), table=TABLE)


@pytest.mark.parametrize("place", range(3))
def test_an_arch_on_a_border_is_within(place):
    """Of the limits and of the floor."""
    region, arch = make_region(SPACE, Limits(10**9), table=TABLE, latency=latency), largest(SPACE)
    name = COSTS[arch]._fields[place]
    at, step = getattr(COSTS[arch], name), (1, 1, 1e-9)[place]
    for change, held in ((0, True), (step, False)):
        floor = ArchCost(0, 0, 0.0)._replace(**{name: at + change})
        assert replace(region, floor=floor).holds(arch) == held
        assert replace(region, limits=Limits(**{name: at - change})).holds(arch) == held


def test_cost_names_latency_where_there_is_a_target():
    arch = next(iter(ARCHS))
    assert make_region(SPACE, Limits(10**9), table=TABLE, latency=latency).cost(arch) == COSTS[arch]
    assert make_region(SPACE, Limits(10**9), table=TABLE).cost(arch).latency_ms is None


def test_limits_above_the_largest_arch_are_noted_and_taken_down():
    most = {name: quantile(name, 1) for name in ("flops", "parameters")}
    for name, figure in most.items():
        assert "above the largest" in make_region(SPACE, Limits(**{name: figure + 1}), table=TABLE).note
        assert not make_region(SPACE, Limits(**{name: figure}), table=TABLE).note
    capped = make_region(SPACE, Limits(10 * most["flops"]), 0.5, table=TABLE)
    assert (capped.lower, capped.upper) == (round(0.5 * most["flops"]), most["flops"])
    both = make_region(SPACE, Limits(10 * most["flops"], parameters=2 * most["parameters"]), table=TABLE).note
    least = [format_least(name, quantile(name, 0)) for name in most]
    assert re.fullmatch(rf"FLOPs .* spans {least[0]} to .*; parameter .* spans {least[1]} to .*", both)
    assert capped.table is TABLE  # what it has counted is not counted again


def test_the_span_of_archs_that_cost_alike_does_not_end_below_its_beginning():
    """The least is rounded up, so that it is enough as a limit."""
    for least, most, told in ((744_000, 744_000, "0.8M to 0.8M"), (744_000, 760_000, "0.8M to 0.8M")):
        costs = {smallest(SPACE): ArchCost(least, 1), largest(SPACE): ArchCost(most, 1)}
        assert span(SPACE, costs.__getitem__, "flops", least) == f"space small spans {told} at 16x8"


def test_a_span_names_every_size_that_archs_are_counted_at():
    with pytest.raises(UserError, match=r"space tiny-plus spans \S+ to \S+ at 48x24 or 64x32; give a higher limit"):
        make_region(load_space("tiny-plus"), Limits(1000))


def test_one_size_to_count_at_is_not_for_spaces_that_choose_among_several():
    with pytest.raises(UserError, match="space tiny-plus chooses among input sizes; leave search.cost_input_size out"):
        make_region(load_space("tiny-plus"), Limits(10**9), cost_size=(64, 32))


def test_limits_count_at_the_size_asked_for():
    space = load_space("tiny")
    region = make_region(space, Limits(10**9), cost_size=(128, 64))
    least, most = flops_range(space.at((128, 64)), CostTable())
    assert (region.lower, region.upper) == (least, most)
    assert region.space.input_size == (128, 64) and space.input_size == (64, 32)
