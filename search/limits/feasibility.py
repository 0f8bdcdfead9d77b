"""Feasibility of limits: whether any arch of a space meets them, and the most FLOPs within them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from reid.errors import UserError
from search.limits.limits import ArchCost, Limits, describe, format_least, format_limit, format_value
from supernet.arch import Arch
from supernet.space import Genome, Space, decode, sizes_words
from supernet.space.genome import largest, smallest

Costs = Callable[[Arch], ArchCost]

NAMES = {"flops": "FLOPs limit", "latency_ms": "latency limit", "parameters": "parameter limit"}
"""Names of ``Limits``' fields in messages."""

ASCENTS = 16
"""Number of ascents in ``most_flops``, each with another random order of the choices."""


def check_feasible(space: Space, costs: Costs, limits: Limits) -> Genome:
    """A genome whose arch meets all ``limits``, as a start for ``most_flops``.

    FLOPs and parameters grow with every choice, so the smallest arch decides about them. Latency need not grow, so the
    fastest arch that ``fastest`` finds decides.

    Raises:
        UserError: a single limit is below the space's minimum, or no arch found meets all of them.
    """
    least = costs(smallest(space))
    for name in ("flops", "parameters"):
        limit = getattr(limits, name)
        if limit is not None and getattr(least, name) > limit:
            raise _too_low(space, costs, name, limit, getattr(least, name))
    if limits.latency_ms is None:
        return _least(space)
    quickest = fastest(space, costs, lambda cost: True)
    if (latency := costs(decode(space, quickest)).latency_ms) > limits.latency_ms:
        raise _too_low(space, costs, "latency_ms", limits.latency_ms, latency)
    if limits.met_by(costs(decode(space, quickest))):
        return quickest
    within = fastest(space, costs, limits.met_but_for_latency)
    if (latency := costs(decode(space, within)).latency_ms) > limits.latency_ms:
        raise UserError(
            f"limits of {describe(limits)} together leave no arch of space {space.name}: the fastest one found within "
            f"the others takes {format_least('latency_ms', latency)} (predicted); raise one of them"
        )
    return within


def span(space: Space, costs: Costs, name: str, least: float) -> str:
    """``"space tiny spans 0.9M to 12.1M at 64x32"``: a measure's range, from ``least`` to the largest arch's."""
    most = getattr(costs(largest(space)), name)
    low, high = format_least(name, least), format_value(name, most)
    if format_value(name, least) == high:  # the least is rounded up, and would be shown as more than this
        high = format_least(name, most)
    how = {"flops": "", "latency_ms": " (predicted)", "parameters": " parameters"}[name]
    return f"space {space.name} spans {low} to {high}{how} at {sizes_words(space)}"


def fastest(space: Space, costs: Costs, admitted: Callable[[ArchCost], bool]) -> Genome:
    """A genome of low predicted latency among ``admitted`` archs: steepest descent by single choices from the smallest
    arch."""
    genome = _least(space)
    latency = costs(decode(space, genome)).latency_ms
    while True:
        moved = [(costs(decode(space, other)), other) for other in _neighbours(space, genome)]
        faster = [(cost.latency_ms, other) for cost, other in moved if admitted(cost) and cost.latency_ms < latency]
        if not faster:
            return genome
        latency, genome = min(faster, key=lambda each: each[0])


def most_flops(space: Space, costs: Costs, limits: Limits, start: Genome) -> int:
    """The most FLOPs found for an arch within ``limits``: a lower bound of the true maximum, the same at every call.

    Several ascents raise choices in random order until none can be raised further. They start alternately at ``start``
    and, if it meets the limits, at the smallest arch."""
    options, most = space.dimensions(), 0
    starts = [start, _least(space) if limits.met_by(costs(smallest(space))) else start]
    for ascent in range(ASCENTS):
        random, genome, left = Random(f"most flops/{ascent}"), starts[ascent % 2], list(options)
        cost = costs(decode(space, genome))
        while left:
            name = random.choice(left)
            place = options[name].index(genome[name]) + 1
            raised = {**genome, name: options[name][place]} if place < len(options[name]) else None
            if raised is not None and limits.met_by(above := costs(decode(space, raised))):
                genome, cost = raised, above
            else:
                left.remove(name)
        most = max(most, cost.flops)
    return most


def _least(space: Space) -> Genome:
    return {name: options[0] for name, options in space.dimensions().items()}


def _neighbours(space: Space, genome: Genome) -> Iterator[Genome]:
    """Genomes that differ in one choice."""
    for name, options in space.dimensions().items():
        yield from ({**genome, name: value} for value in options if value != genome[name])


def _too_low(space: Space, costs: Costs, name: str, limit: float, least: float) -> UserError:
    arch = "fastest" if name == "latency_ms" else "smallest"
    given = f"{NAMES[name]} {format_limit(name, limit)}"
    return UserError(f"{given} is below the {arch} arch: {span(space, costs, name, least)}; give a higher limit")
