"""Random archs of the same cost as a found one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from random import Random

from reid.errors import UserError
from search.costs import CostTable
from search.flops_words import format_flops
from search.limits import make_region, sample_near
from search.limits.limits import Limits, describe
from search.ranking.sampling import TRIES, Band
from supernet.arch import Arch
from supernet.files import NamedArch
from supernet.space import Space, decode


def random_archs(
    space: Space,
    band: Band,
    count: int,
    seed: int,
    cost_size: tuple[int, int] | None,
    table: CostTable,
    avoid: Collection[Arch] = (),
    limits: Limits | None = None,
    latency: Callable[[Arch], float] | None = None,
) -> list[NamedArch]:
    """``count`` different archs of ``band``, none of them in ``avoid``, at ``space``'s input size: one from each of
    ``count`` equal parts of the band if possible, so that their mean FLOPs are near the band's middle.

    Unlike ``search.ranking.sampling.stratified_archs``, this accepts any ``count`` and uses parts of equal width. An
    arch for an empty part is still within the band, since other FLOPs would make an unfair comparison. Each arch is a
    function of the seed and its number and, if latency is limited, of its predictions.

    Args:
        limits: further limits, counted at ``cost_size``; a limit on FLOPs caps the band.
        latency: predicted ms, for a limit on latency.

    Raises:
        UserError: the band has too few archs within the limits.
    """
    high = band.high if limits is None or limits.flops is None else min(band.high, limits.flops)
    within = Limits(flops=high) if limits is None else replace(limits, flops=high)
    region = make_region(space, within, cost_size=cost_size, table=table, latency=latency)
    step, met = (high - band.low) / count, set(avoid)
    archs: list[NamedArch] = []
    for number in range(count):
        low = band.low + number * step
        for attempt in range(TRIES):
            genome = sample_near(region, low, low + step, Random(f"{seed}/gain/{number}/{attempt}"))
            arch = None if genome is None else decode(space, genome)
            if arch is not None and arch not in met and table.flops(arch.at(cost_size)) >= band.low:
                break
        else:
            also = "" if limits is None else f" and {describe(limits)}"
            cure = f"ask for fewer than {count}" if count > 1 else "use a space with more archs of such costs"
            raise UserError(
                f"no further arch of {format_flops(band.low)} to {format_flops(band.high)} FLOPs{also} was found in "
                f"space {space.name}; {cure}"
            )
        met.add(arch)
        cost = region.cost(arch.at(cost_size))
        about = {} if latency is None else {"latency_ms": cost.latency_ms}
        archs.append(NamedArch(f"R{number:02d}", arch, {"flops": cost.flops, **about, "seed": seed}))
    return archs
