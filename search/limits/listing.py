"""Lists all archs of a region; the fallback of a search when random draws find nothing new."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from itertools import count

from search.limits.limits import ArchCost
from search.limits.region import Region
from supernet.arch import Arch
from supernet.space import Genome, Option, decode

BARREN = 2000
"""Number of consecutive archs outside the region after which ``archs_downwards`` gives up."""


def archs_downwards(region: Region) -> Iterator[tuple[Genome, Arch]]:
    """Every arch of the region once, always the one with the most FLOPs among those known so far.

    Starts at the smallest arch and raises single choices. FLOPs and parameters grow with every choice, so every arch
    within their limits can be reached through archs within them; the first costs a few dozen table look-ups. Latency
    need not grow: archs above its limit are expanded too, fastest first, once no others are known. Stops early after
    ``BARREN`` consecutive archs outside the region.
    """
    space = region.space
    options = space.dimensions()
    start = {name: values[0] for name, values in options.items()}
    arch = decode(space, start)
    met, order, barren = {arch}, count(), 0
    heap = [(*_rank(region, region.cost(arch)), next(order), start)]
    while heap and barren < BARREN:
        *_, genome = heapq.heappop(heap)
        arch = decode(space, genome)
        if region.holds(arch):
            barren = 0
            yield genome, arch
        else:
            barren += 1
        for grown in _grown(options, genome):
            arch = decode(space, grown)
            if arch in met:
                continue
            met.add(arch)
            if region.limits.met_but_for_latency(cost := region.cost(arch)):
                heapq.heappush(heap, (*_rank(region, cost), next(order), grown))


def _rank(region: Region, cost: ArchCost) -> tuple[bool, float]:
    """Sort key of an arch in ``archs_downwards``; smallest first."""
    slow = not region.limits.met_by(cost)
    return slow, cost.latency_ms if slow else -cost.flops


def _grown(options: Mapping[str, tuple[Option, ...]], genome: Genome) -> Iterator[Genome]:
    """The genomes with one choice raised to its next option, for every choice that can be raised."""
    for name, values in options.items():
        place = values.index(genome[name]) + 1
        if place < len(values):
            yield {**genome, name: values[place]}
