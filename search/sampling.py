"""Archs spread evenly over FLOPs, for the training of a supernet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from reid.errors import UserError
from search.costs import CostTable, flops_range
from search.flops_words import format_flops
from search.limits import ArchCost, Limits, make_region, sample_near
from supernet.arch import Arch
from supernet.space import Space, decode
from supernet.training.sampling import Draw

NEAR = 0.03
"""How far from the FLOPs that are asked for an arch may be, as a fraction of them; never aside of the band."""

TRIES = 1000
"""Draws in a row without an arch of the band after which there is taken to be none: some seconds. Of a band that is a
three-thousandth of its FLOPs wide, one draw in seven finds one (measured on the tiny space)."""


def evenly_over_flops(
    space: Space,
    table: CostTable,
    within: tuple[int, int] | None = None,
    cost_size: tuple[int, int] | None = None,
) -> Draw:
    """Archs of as many FLOPs as are asked for, from the smallest arch's to the largest's.

    Args:
        within: the least and the most FLOPs; ``None`` for all that the space has.
        cost_size: ``(height, width)`` that FLOPs are counted at; ``None`` for the space's own. Archs that are drawn
            have the space's.

    Raises:
        UserError: the space has no arch of such FLOPs, or ``cost_size`` is given and it chooses among sizes; by a draw,
            where the band lies within the space's FLOPs and no arch within the band.

    Drawing every choice uniformly nearly always gives archs of medium FLOPs: in a space that spans 1.5M to 20M, nine in
    ten lie between 3 and 11M, and archs that are seldom trained are scored too low.
    """
    low, high = flops_range(space.at(cost_size), table)
    if within is not None:
        least, most = within
        if not max(least, low) <= min(most, high):
            raise UserError(
                f"supernet.sampling.flops {format_flops(least)} to {format_flops(most)}: space {space.name} spans "
                f"{format_flops(low)} to {format_flops(high)}; choose a range inside it, smaller number first"
            )
        low, high = max(least, low), min(most, high)
    region = make_region(space, Limits(flops=high), cost_size=cost_size, table=table)
    region = replace(region, floor=ArchCost(low, 0, 0.0))

    def draw(random: Random, share: float) -> Iterator[Arch]:
        flops, tries = low + share * (high - low), 0
        least = max(low, flops * (1 - NEAR))  # in a narrow band most of what is near lies below it
        while tries < TRIES:
            genome = sample_near(region, least, flops * (1 + NEAR), random)
            tries = tries + 1 if genome is None else 0
            if genome is not None:
                yield decode(space, genome)
        raise UserError(
            f"supernet.sampling.flops {format_flops(low)} to {format_flops(high)}: no arch of space {space.name} was "
            "found in this range; give a wider one"
        )

    return draw
