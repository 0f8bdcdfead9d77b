"""``Region``: the archs of a space that a FLOPs limit admits, and ways to draw or list them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from random import Random

from reid.errors import UserError
from search.cost import CostTable, flops_range, format_flops
from supernet.arch import Arch
from supernet.space import Genome, Space, decode, sample, smallest

MOVES = 200
"""Choices changed on the way from a random sample to a wanted number of FLOPs, then the nearest is taken."""

BARREN = 2000
"""Archs below the lower limit that ``archs_downwards`` looks at in a row before it gives up."""


@dataclass(frozen=True, eq=False)
class Region:
    """Archs of ``space`` whose FLOPs lie in ``lower..upper`` (both included).

    Attributes:
        space: at the input size that FLOPs are counted at.
        table: where costs are looked up.
        lower, upper: never outside the space's own smallest and largest FLOPs.
        note: a line for the user where the limit does not bind, else empty.
    """

    space: Space
    table: CostTable
    lower: int
    upper: int
    note: str = ""

    def holds(self, arch: Arch) -> bool:
        """Whether the arch's FLOPs are within the limits."""
        return self.lower <= self.table.flops(arch) <= self.upper


def make_region(
    space: Space,
    limit: int,
    min_fraction: float = 0.0,
    cost_size: tuple[int, int] | None = None,
    table: CostTable | None = None,
) -> Region:
    """The archs of ``space`` of at most ``limit`` FLOPs, counted at ``cost_size``, and at least ``min_fraction`` of it.

    A limit above the largest arch is taken down to that arch's FLOPs first. ``table`` may be given to share what it has
    counted already.

    Raises:
        UserError: the limit is below the smallest arch; the message names the space's smallest and largest.
    """
    space, table = space.at(cost_size), CostTable() if table is None else table
    least, most = flops_range(space, table)
    upper = min(limit, most)
    lower = max(least, round(min_fraction * upper))
    size = "{}x{}".format(*space.input_size)
    spans = f"space {space.name} spans {format_flops(least)} to {format_flops(most)} at {size}"
    if limit < least:
        given = format_flops(limit)
        raise UserError(f"FLOPs limit {given} is below the smallest arch: {spans}; give a higher limit")
    note = f"FLOPs limit {format_flops(limit)} is above the largest arch: {spans}" if limit > most else ""
    return Region(space, table, lower, upper, note)


def sample_near(region: Region, low: float, high: float, random: Random) -> Genome | None:
    """A random genome with ``low`` to ``high`` FLOPs, or the nearest one met that the region holds.

    A uniform sample is moved towards the wanted FLOPs by one option of one random choice at a time: uniform
    samples of most spaces lie in a narrow band of FLOPs, so that drawing until one fits could take forever.
    ``None``: none was met.
    """
    genome, nearest, distance = sample(region.space, random), None, float("inf")
    options = region.space.dimensions()
    for _ in range(MOVES):
        arch = decode(region.space, genome)
        flops = region.table.flops(arch)
        miss = max(low - flops, flops - high, 0)
        if region.lower <= flops <= region.upper and miss < distance:
            nearest, distance = genome, miss
        if miss == 0:
            break
        genome = _move(options, genome, -1 if flops > high else 1, random)
    return nearest


def _move(options: dict[str, tuple[int, ...]], genome: Genome, step: int, random: Random) -> Genome:
    """One random choice moved to its next greater (1) or lesser (-1) option, where there is one."""
    end = -1 if step > 0 else 0
    names = [name for name, values in options.items() if genome[name] != values[end]]
    if not names:
        return genome
    name = random.choice(names)
    values = options[name]
    return {**genome, name: values[values.index(genome[name]) + step]}


def archs_downwards(region: Region) -> Iterator[tuple[Genome, Arch]]:
    """Every arch of the region once, those with most FLOPs among the known ones first.

    Starts at the smallest arch and grows single choices. FLOPs grow with every choice, so each arch under the
    upper limit can be reached through archs under it; the first of them costs a few dozen table look-ups.
    Stops early after ``BARREN`` archs in a row below the lower limit.
    """
    options = region.space.dimensions()
    start = {name: values[0] for name, values in options.items()}
    met, order, barren = {smallest(region.space)}, count(), 0
    heap = [(-region.table.flops(smallest(region.space)), next(order), start)]
    while heap and barren < BARREN:
        flops, _, genome = heapq.heappop(heap)
        if -flops >= region.lower:
            barren = 0
            yield genome, decode(region.space, genome)
        else:
            barren += 1
        for name, values in options.items():
            place = values.index(genome[name])
            if place + 1 == len(values):
                continue
            grown = {**genome, name: values[place + 1]}
            arch = decode(region.space, grown)
            if arch in met:
                continue
            met.add(arch)
            if (larger := region.table.flops(arch)) <= region.upper:
                heapq.heappush(heap, (-larger, next(order), grown))
