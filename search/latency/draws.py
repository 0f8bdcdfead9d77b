"""Archs of a space that times are fitted and checked on: spread over its FLOPs, not crowded in the middle."""

from __future__ import annotations

from random import Random

from search.costs import CostTable
from search.limits import Limits, make_region, sample_near
from supernet.arch import Arch
from supernet.space import Space, decode
from supernet.space.genome import largest


def spread_archs(space: Space, count: int, what: str, costs: CostTable | None = None) -> list[Arch]:
    """``count`` different archs, one from each of as many bands of FLOPs; fewer only where the space has fewer.

    Always the same for the same arguments; ``what`` names the occasion, and so the archs drawn.
    """
    costs = CostTable() if costs is None else costs
    region = make_region(space, Limits(flops=costs.flops(largest(space))), table=costs)
    step, archs = (region.upper - region.lower) / count, {}
    for number in range(20 * count):
        low = region.lower + number % count * step
        genome = sample_near(region, low, low + step, Random(f"{what}/{number}"))
        archs[decode(region.space, genome)] = None
        if len(archs) == count:
            break
    return list(archs)
