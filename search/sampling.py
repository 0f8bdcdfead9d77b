"""Archs spread evenly over FLOPs, for the training of a supernet."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from search.cost import CostTable, flops_range
from search.limits import Limits
from search.region import make_region, sample_near
from supernet.arch import Arch
from supernet.sampling import Draw
from supernet.space import Space, decode

NEAR = 0.03
"""How far from the FLOPs that are asked for an arch may be, as a fraction of them."""


def evenly_over_flops(space: Space, table: CostTable) -> Draw:
    """Archs of as many FLOPs as are asked for, from the smallest arch's to the largest's.

    Drawing every choice alike gives archs of middling FLOPs nearly always: of a space that spans 1.5M to 20M, nine in
    ten lie between 3 and 11M, and what is seldom trained is scored too low.
    """
    low, high = flops_range(space, table)
    region = make_region(space, Limits(flops=high), table=table)

    def draw(random: Random, share: float) -> Iterator[Arch]:
        flops = low + share * (high - low)
        while True:
            yield decode(space, sample_near(region, flops * (1 - NEAR), flops * (1 + NEAR), random))

    return draw
