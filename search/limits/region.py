"""``Region``: the archs of a space within limits on FLOPs, latency and parameters, and draws from them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from reid.errors import UserError
from search.costs import CostTable
from search.limits.feasibility import NAMES, Costs, check_feasible, most_flops, span
from search.limits.limits import ArchCost, Limits, arch_cost, describe, format_limit, format_value
from supernet.arch import Arch
from supernet.space import Genome, Option, Space, decode
from supernet.space.genome import largest, sample, smallest

MOVES = 200
"""Maximum number of moves from a random sample towards a wanted number of FLOPs; then the nearest arch is taken."""


@dataclass(frozen=True, eq=False)
class Region:
    """Archs of ``space`` that meet all of ``limits`` and cost no less than ``floor``.

    Attributes:
        space: at the input size at which costs are counted.
        table: for FLOPs and parameters.
        limits: upper limits.
        floor: lower limits; 0 for none.
        lower, upper: the band of FLOPs over which samples are spread. ``upper`` exceeds neither the limit on FLOPs nor
            the largest arch's FLOPs; with other limits, it is the most FLOPs found under all of them.
        latency: predicted ms of an arch on the target; ``None`` without a target.
        note: a line for the user if a limit has no effect, otherwise empty.
    """

    space: Space
    table: CostTable
    limits: Limits
    floor: ArchCost
    lower: int
    upper: int
    latency: Callable[[Arch], float] | None = None
    note: str = ""

    def cost(self, arch: Arch) -> ArchCost:
        """The arch's cost by every measure that can be limited."""
        return arch_cost(arch, self.table, self.latency)

    def holds(self, arch: Arch) -> bool:
        """Whether the arch meets all limits and the floor."""
        return self.admits(self.cost(arch))

    def admits(self, cost: ArchCost) -> bool:
        """``holds`` for an arch with a known cost."""
        floor = self.floor
        return (
            self.limits.met_by(cost)
            and cost.flops >= floor.flops
            and cost.parameters >= floor.parameters
            and (not floor.latency_ms or cost.latency_ms >= floor.latency_ms)
        )


def make_region(
    space: Space,
    limits: Limits,
    min_fraction: float = 0.0,
    cost_size: tuple[int, int] | None = None,
    table: CostTable | None = None,
    latency: Callable[[Arch], float] | None = None,
) -> Region:
    """The archs of ``space`` that meet all ``limits`` at the input size ``cost_size``.

    Args:
        min_fraction: the least cost as a fraction of the limit on FLOPs or, without one, of the first limit set
            (latency before parameters). A limit above the largest arch counts as that arch's cost.
        cost_size: ``(height, width)``; ``None`` for the space's own.
        table: to share counts made before.
        latency: predicted ms of an arch at its input size; reported as a cost even without a limit on it.

    Raises:
        UserError: latency is limited without ``latency``; ``cost_size`` is given for a space with several input sizes;
            a limit is below the space's minimum; the limits together leave nothing; or ``min_fraction`` asks for more
            FLOPs than they allow. (An unattainable least latency or number of parameters is not noticed here.)
    """
    check_cost_size(space, cost_size)
    if limits.latency_ms is not None and latency is None:
        raise UserError("a latency limit needs a latency target; give one, such as onnx-cpu-1t")
    space, table = space.at(cost_size), CostTable() if table is None else table
    costs = functools.partial(arch_cost, table=table, latency=latency)
    start = check_feasible(space, costs, limits)
    given, most = limits.given(), costs(largest(space))
    least = costs(smallest(space)).flops
    upper = min(limits.flops or most.flops, most.flops)
    if set(given) != {"flops"}:
        upper = min(upper, most_flops(space, costs, limits, start))
    name, limit = next(iter(given.items()))
    whole = min(limit, getattr(most, name))
    floor = _floor(name, min_fraction * whole)
    lower = max(least, floor.flops)
    if lower > upper:  # caused by a floor on FLOPs: without one, at least one arch is left
        at_most = math.floor(1000 * upper / whole) / 1000
        raise UserError(
            f"min_flops_fraction {min_fraction:g} requires {format_value('flops', lower)} FLOPs, but limits of "
            f"{describe(limits)} allow only {format_value('flops', upper)} in space {space.name}; give a fraction of "
            f"at most {at_most:g}"
        )
    return Region(space, table, limits, floor, lower, upper, latency, _note(space, costs, given))


def check_cost_size(space: Space, cost_size: tuple[int, int] | None) -> None:
    """Raises UserError if costs are to be counted at one size, but archs of ``space`` have several."""
    if cost_size and space.smaller_sizes:
        raise UserError(f"space {space.name} chooses among input sizes; leave search.cost_input_size out")


def _floor(name: str, value: float) -> ArchCost:
    return ArchCost(0, 0, 0.0)._replace(**{name: value if name == "latency_ms" else round(value)})


def _note(space: Space, costs: Costs, given: dict[str, float]) -> str:
    """A note on limits that even the largest arch meets."""
    least, most = costs(smallest(space)), costs(largest(space))
    lines = [
        f"{NAMES[name]} {format_limit(name, limit)} is above the largest arch: "
        + span(space, costs, name, getattr(least, name))
        for name, limit in given.items()
        if limit > getattr(most, name)
    ]
    return "; ".join(lines)


def sample_near(region: Region, low: float, high: float, random: Random) -> Genome | None:
    """A random genome with ``low`` to ``high`` FLOPs or, failing that, the nearest one found in the region.

    Starts from a uniform sample and moves one random choice by one option at a time: down while a limit is exceeded,
    otherwise towards the wanted FLOPs. Uniform samples of most spaces lie in a narrow band of FLOPs, so drawing until
    one fits could take forever. Returns ``None`` if no arch of the region was found.
    """
    genome, nearest, distance = sample(region.space, random), None, float("inf")
    options = region.space.dimensions()
    for _ in range(MOVES):
        cost = region.cost(decode(region.space, genome))
        miss = max(low - cost.flops, cost.flops - high, 0)
        held = region.admits(cost)
        if held and miss < distance:
            nearest, distance = genome, miss
        if held and miss == 0:
            break
        # If it meets the limits but is not admitted, it is below the floor.
        down = cost.flops > high if held else not region.limits.met_by(cost)
        moved = _move(options, genome, -1 if down else 1, random)
        if moved is genome:  # every choice is at its end, so nothing is nearer
            break
        genome = moved
    return nearest


def _move(options: Mapping[str, tuple[Option, ...]], genome: Genome, step: int, random: Random) -> Genome:
    """The genome with one random choice moved to its next higher (1) or lower (-1) option, if any can be moved."""
    end = -1 if step > 0 else 0
    names = [name for name, values in options.items() if genome[name] != values[end]]
    if not names:
        return genome
    name = random.choice(names)
    values = options[name]
    return {**genome, name: values[values.index(genome[name]) + step]}
