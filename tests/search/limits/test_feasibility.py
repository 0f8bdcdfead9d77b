"""How far up the FLOPs limits reach, where the way there begins at one arch and not at another."""

from __future__ import annotations

from itertools import product

import pytest

from search.costs import CostTable
from search.limits import Limits, feasibility
from search.limits.feasibility import check_feasible, fastest, most_flops
from search.limits.limits import ArchCost
from supernet.arch import Arch
from supernet.space import Space, StageSpace, decode
from supernet.space.genome import largest, smallest

TABLE = CostTable()
SPACE = Space(
    name="small",
    input_size=(16, 8),
    stems=(4, 8),
    stages=(StageSpace(stride=2, widths=(4, 8), depths=(1, 2), kernels=(3, 5), expands=(1,)),),
    last_widths=(0, 16),
)
LIMITS = Limits(latency_ms=3.0)


def _plain(arch: Arch) -> bool:
    """Whether all but the stem is as in the smallest arch."""
    first = smallest(SPACE)
    return arch.stages == first.stages and arch.last_width == first.last_width


def _dead_end(arch: Arch) -> float:
    """The quickest arch, the smallest one with a wide stem, is too slow with anything more."""
    if arch.stem == 4:
        return 2.0
    return 1.0 if _plain(arch) else 9.0


def _apart(arch: Arch) -> float:
    """The smallest arch is too slow, and so is what is one choice away from it."""
    return {0: 5.0, 1: 4.0, 2: 1.0}[(arch.stem == 8) + (arch.last_width == 16)]


def _costs(latency):
    return lambda arch: ArchCost(TABLE.flops(arch), TABLE.parameters(arch), latency(arch))


@pytest.mark.parametrize("latency", [_dead_end, _apart])
def test_ways_up_begin_at_the_quickest_arch_and_at_the_smallest(latency):
    costs = _costs(latency)
    start = check_feasible(SPACE, costs, LIMITS)
    dimensions = SPACE.dimensions()
    archs = {decode(SPACE, dict(zip(dimensions, values, strict=True))) for values in product(*dimensions.values())}
    quickest = min(archs, key=lambda arch: (latency(arch), TABLE.flops(arch)))
    assert decode(SPACE, start) == quickest != smallest(SPACE)
    most = max(TABLE.flops(arch) for arch in archs if latency(arch) <= LIMITS.latency_ms)
    assert most_flops(SPACE, costs, LIMITS, start) == most > TABLE.flops(quickest)


def _winding(arch: Arch) -> float:
    """The way to the quickest arch: the last layer, then a wide stage, then a deep one, then no last layer. A wide
    stem, which comes first in the order of the choices, leads no further."""
    taken = (arch.stem == 8, arch.last_width == 16, arch.stages[0].width == 8, len(arch.stages[0].blocks) == 2)
    way = {(0, 0, 0, 0): 5.0, (0, 1, 0, 0): 4.0, (0, 1, 1, 0): 3.0, (0, 1, 1, 1): 2.0, (0, 0, 1, 1): 1.0}
    return way.get(taken, 4.5 if taken == (1, 0, 0, 0) else 9.0)


def test_the_way_to_the_fastest_takes_the_best_choice_each_time_also_downwards():
    arch = decode(SPACE, fastest(SPACE, _costs(_winding), lambda cost: True))
    assert _winding(arch) == 1.0


def test_the_most_flops_are_the_same_at_every_call(monkeypatch):
    """Also of a single way up; such ways end in many places here."""
    monkeypatch.setattr(feasibility, "ASCENTS", 1)
    least, most = (TABLE.parameters(end(SPACE)) for end in (smallest, largest))
    limits, costs = Limits(parameters=(least + most) // 2), _costs(lambda arch: 1.0)
    start = check_feasible(SPACE, costs, limits)
    assert len({most_flops(SPACE, costs, limits, start) for _ in range(10)}) == 1
