"""How far up the FLOPs limits reach, where the way there begins at one arch and not at another."""

from __future__ import annotations

from itertools import product

import pytest

from search.costs import CostTable
from search.limits import Limits
from search.limits.feasibility import check_feasible, most_flops
from search.limits.limits import ArchCost
from supernet.arch import Arch
from supernet.space import Space, StageSpace, decode
from supernet.space.genome import smallest

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


@pytest.mark.parametrize("latency", [_dead_end, _apart])
def test_ways_up_begin_at_the_quickest_arch_and_at_the_smallest(latency):
    def costs(arch: Arch) -> ArchCost:
        return ArchCost(TABLE.flops(arch), TABLE.parameters(arch), latency(arch))

    start = check_feasible(SPACE, costs, LIMITS)
    dimensions = SPACE.dimensions()
    archs = {decode(SPACE, dict(zip(dimensions, values, strict=True))) for values in product(*dimensions.values())}
    quickest = min(archs, key=lambda arch: (latency(arch), TABLE.flops(arch)))
    assert decode(SPACE, start) == quickest != smallest(SPACE)
    most = max(TABLE.flops(arch) for arch in archs if latency(arch) <= LIMITS.latency_ms)
    assert most_flops(SPACE, costs, LIMITS, start) == most > TABLE.flops(quickest)
