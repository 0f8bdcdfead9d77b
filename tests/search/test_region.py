"""Drawing and listing archs under a FLOPs limit, against brute force."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from reid.errors import UserError
from search.cost import CostTable, flops_range
from search.region import Region, archs_downwards, make_region, sample_near
from supernet.files import load_space
from supernet.space import Space, StageSpace, count_archs, decode

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


def _all_archs(space: Space) -> set:
    dims = space.dimensions()
    return {decode(space, dict(zip(dims, values, strict=True))) for values in product(*dims.values())}


@pytest.fixture(scope="module")
def archs():
    return _all_archs(SPACE)


def test_brute_force_lists_the_whole_space(archs):
    assert len(archs) == count_archs(SPACE)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 0.8, 1.0])
def test_listing_is_complete_and_without_repeats(archs, share):
    least, most = flops_range(SPACE, TABLE)
    upper = round(least + share * (most - least))
    listed = [arch for _, arch in archs_downwards(Region(SPACE, TABLE, least, upper))]
    assert len(listed) == len(set(listed))
    assert set(listed) == {arch for arch in archs if TABLE.flops(arch) <= upper}


def test_listing_with_a_lower_limit(archs):
    least, most = flops_range(SPACE, TABLE)
    lower, upper = (2 * least + most) // 3, (least + most) // 2
    listed = {arch for _, arch in archs_downwards(Region(SPACE, TABLE, lower, upper))}
    assert listed == {arch for arch in archs if lower <= TABLE.flops(arch) <= upper}


def test_listing_an_empty_band_of_a_huge_space_ends():
    space = load_space("mlr-210m").at((16, 8))
    upper = flops_range(space, TABLE)[1] - 1
    assert list(archs_downwards(Region(space, TABLE, upper, upper))) == []


def test_samples_reach_every_part_of_the_band():
    region = make_region(load_space("tiny"), 10**9)
    step, random = (region.upper - region.lower) / 10, Random(0)
    for part in range(10):
        low = region.lower + part * step
        for _ in range(10):
            arch = decode(region.space, sample_near(region, low, low + step, random))
            assert low <= region.table.flops(arch) <= low + step


def test_sample_is_found_where_only_the_smallest_arch_is_allowed():
    least, _ = flops_range(SPACE, TABLE)
    region = Region(SPACE, TABLE, least, least)
    for seed in range(20):
        genome = sample_near(region, least, least, Random(seed))
        assert genome is not None and TABLE.flops(decode(SPACE, genome)) == least


def test_impossible_limits_name_the_range():
    space = load_space("tiny")
    least, most = make_region(space, 10**9).lower, make_region(space, 10**9).upper
    assert make_region(space, least).upper == least
    with pytest.raises(UserError, match=r"below the smallest.*tiny spans \S+[KM] to \S+M at 64x32"):
        make_region(space, least - 1)
    capped = make_region(space, 10 * most, min_fraction=0.5)
    assert (capped.lower, capped.upper) == (round(0.5 * most), most)


def test_limit_above_the_largest_arch_is_noted():
    space = load_space("tiny")
    most = make_region(space, 10**9).upper
    assert "above the largest" in make_region(space, most + 1).note
    assert not make_region(space, most).note


def test_limits_count_at_the_size_asked_for():
    space = load_space("tiny")
    region = make_region(space, 10**9, cost_size=(128, 64))
    assert region.upper == CostTable().flops(max(_corner(space), key=CostTable().flops))
    assert region.space.input_size == (128, 64) and space.input_size == (64, 32)


def _corner(space: Space):
    dims = space.at((128, 64)).dimensions()
    for end in (0, -1):
        yield decode(space.at((128, 64)), {name: options[end] for name, options in dims.items()})
