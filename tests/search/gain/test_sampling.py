"""Random rivals: within the band, different, none of those to avoid, the same again."""

from __future__ import annotations

from itertools import product

import pytest

from reid.errors import UserError
from search.costs import CostTable, flops_range, whole_network_flops
from search.gain.sampling import random_archs
from search.ranking.sampling import Band, find_band
from supernet.files import load_space
from supernet.space import Space, StageSpace, decode
from supernet.space.genome import contains

TABLE, TINY = CostTable(), load_space("tiny").at((80, 40))


@pytest.mark.parametrize("size", [None, (128, 64)])
def test_within_five_percent(size):
    centre = 9_000_000 if size is None else 22_000_000
    band = find_band(TINY, centre, 0.05, size, TABLE)
    archs = random_archs(TINY, band, 5, 0, size, TABLE)
    flops = [whole_network_flops(named.arch.at(size)) for named in archs]
    assert all(abs(own / centre - 1) <= 0.05 for own in flops) and sorted(flops) == flops
    assert len({named.arch for named in archs}) == 5 and [named.origin["flops"] for named in archs] == flops
    assert all(contains(TINY, named.arch) and named.arch.input_size == (80, 40) for named in archs)
    assert [named.name for named in archs] == ["R00", "R01", "R02", "R03", "R04"]
    assert random_archs(TINY, band, 5, 0, size, TABLE) == archs != random_archs(TINY, band, 5, 1, size, TABLE)


def test_none_to_avoid():
    band = find_band(TINY, 9_000_000, 0.05, None, TABLE)
    archs = random_archs(TINY, band, 3, 0, None, TABLE)
    avoid = {named.arch for named in archs[:2]}
    others = random_archs(TINY, band, 3, 0, None, TABLE, avoid)
    assert not avoid & {named.arch for named in others} and others[2] == archs[2]


def test_a_band_of_few_archs():
    """Empty parts of the band take what is near, but never from below or above it."""
    two = StageSpace(stride=1, widths=(4, 8), depths=(1, 2), kernels=(3, 5), expands=(1,))
    space = Space("few", (16, 8), (4,), (two,), (0,))
    options = space.dimensions()
    archs = {decode(space, dict(zip(options, values, strict=True))) for values in product(*options.values())}
    least, most = flops_range(space, TABLE)
    band = Band(least + (most - least) // 4, most - (most - least) // 4, "B")
    inside = {arch for arch in archs if band.low <= whole_network_flops(arch) <= band.high}
    assert len(archs) == 12 and len(inside) == 5
    drawn = {named.arch for named in random_archs(space, band, 4, 0, None, TABLE)}
    assert len(drawn) == 4 and drawn < inside
    with pytest.raises(UserError, match="no further arch of .* FLOPs was found in space few; ask for fewer than 6"):
        random_archs(space, band, 6, 0, None, TABLE)
    (left,) = inside - drawn
    assert random_archs(space, band, 1, 0, None, TABLE, drawn)[0].arch == left
