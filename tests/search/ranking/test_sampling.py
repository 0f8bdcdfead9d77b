"""Archs over a band of FLOPs: where they lie, that they differ, and that they stay the same."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from reid.errors import UserError
from search.costs import CostTable, flops_range, whole_network_flops
from search.limits import Limits, make_region, sample_near
from search.ranking.sampling import Band, find_band, stratified_archs
from supernet.files import load_space
from supernet.space import Space, StageSpace, count_archs, decode
from supernet.space.genome import contains

TABLE, TINY = CostTable(), load_space("tiny").at((80, 40))


@pytest.mark.parametrize("centre", [None, 9_000_000])
def test_one_arch_in_each_part(centre):
    band = find_band(TINY, centre, 0.05, None, TABLE)
    archs = stratified_archs(TINY, band, 8, 3, None, TABLE)
    assert len({named.arch for named in archs}) == 8
    prefix = "B" if centre else "W"
    assert [named.name for named in archs] == [f"{prefix}{number:02d}" for number in range(8)]
    edges = np.geomspace(band.low, band.high, 9)
    for named, low, high in zip(archs, edges[:-1], edges[1:], strict=True):
        assert contains(TINY, named.arch) and named.arch.input_size == (80, 40)
        assert low - 1 <= named.origin["flops"] <= high + 1
        assert named.origin["flops"] == whole_network_flops(named.arch)


def test_an_arch_is_a_function_of_seed_and_number():
    band = find_band(TINY, None, 0.05, None, TABLE)
    archs = stratified_archs(TINY, band, 8, 0, None, TABLE)
    region = make_region(TINY, Limits(flops=band.high), table=TABLE)
    ratio = (band.high / band.low) ** (1 / 8)
    for number, named in enumerate(archs):
        low = band.low * ratio**number
        genome = sample_near(region, low, low * ratio, Random(f"0/rank/W/{number}"))
        assert decode(TINY, genome) == named.arch
    assert stratified_archs(TINY, band, 8, 0, None, TABLE) == archs
    assert stratified_archs(TINY, band, 8, 1, None, TABLE)[0].arch != archs[0].arch


def test_flops_are_counted_at_the_size_asked_for():
    small, size = load_space("tiny"), (80, 40)
    band = find_band(small, None, 0.05, size, TABLE)
    assert (band.low, band.high) == flops_range(small.at(size), TABLE)
    archs = stratified_archs(small, band, 5, 0, size, TABLE)
    for named in archs:
        assert named.arch.input_size == (64, 32)
        assert named.origin["flops"] == whole_network_flops(named.arch.at(size))
    assert archs[-1].origin["flops"] >= band.low * (band.high / band.low) ** 0.8 - 1


def test_bands():
    least, most = flops_range(TINY, TABLE)
    assert find_band(TINY, None, 0.05, None, TABLE) == Band(least, most, "W")
    assert find_band(TINY, 9_000_000, 0.05, None, TABLE) == Band(8_550_000, 9_450_000, "B")
    assert find_band(TINY, most, 0.1, None, TABLE) == Band(round(0.9 * most), most, "B")  # cut where the space ends
    with pytest.raises(UserError, match=r"--band 900.0M: space tiny spans 1.5M to 20.1M at 80x40"):
        find_band(TINY, 900_000_000, 0.05, None, TABLE)
    with pytest.raises(UserError, match="--within 1.5: must be between 0 and 1"):
        find_band(TINY, 9_000_000, 1.5, None, TABLE)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("centre", "within"), [(1_700_000, 0.02), (1_900_000, 0.005), (19_700_000, 0.005)])
def test_parts_without_an_arch_take_none_from_outside_the_band(centre, within, seed):
    """Where few archs are; those of other FLOPs would be ranked by their FLOPs."""
    band = find_band(TINY, centre, within, None, TABLE)
    flops = [named.origin["flops"] for named in stratified_archs(TINY, band, 4, seed, None, TABLE)]
    assert band.low <= min(flops) and max(flops) <= band.high
    edges = np.geomspace(band.low, band.high, 5)
    assert len(set(np.digitize(flops, edges))) < 4  # some part was empty


def test_few_archs():
    two = StageSpace(stride=1, widths=(4, 8), depths=(1, 2), kernels=(3, 5), expands=(1,))
    space = Space("few", (16, 8), (4,), (two,), (0,))
    band = find_band(space, None, 0.05, None, TABLE)
    with pytest.raises(UserError, match="no further arch of .* was found in space few; lower --n 40"):
        stratified_archs(space, band, 40, 0, None, TABLE)
    assert count_archs(space) == 12
    one_part = Band(band.low, band.high, "W")
    assert len({named.arch for named in stratified_archs(space, one_part, 4, 0, None, TABLE)}) == 4
    with pytest.raises(UserError, match="--n: 3 archs are too few for a ranking; give at least 4"):
        stratified_archs(space, band, 3, 0, None, TABLE)
