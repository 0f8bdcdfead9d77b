"""Random archs that cost what a found one does."""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from reid.errors import UserError
from search.cost import CostTable
from search.flops_words import format_flops
from search.limits import Limits
from search.ranking.sampling import TRIES, Band
from search.region import make_region, sample_near
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
) -> list[NamedArch]:
    """``count`` different archs of ``band``, none of ``avoid``, at ``space``'s input size: one from each of as many
    equal parts of the band where it has one there, so that their mean FLOPs are the band's middle.

    Unlike ``search.ranking.sampling.stratified_archs`` it gives any number of archs, and its parts are of one width.
    Where a part is empty it keeps to the band: an arch of other FLOPs would be no fair rival. Each is a function of the
    seed and its number.

    Raises:
        UserError: the band has not as many archs.
    """
    region = make_region(space, Limits(flops=band.high), cost_size=cost_size, table=table)
    step, met = (band.high - band.low) / count, set(avoid)
    archs: list[NamedArch] = []
    for number in range(count):
        low = band.low + number * step
        for attempt in range(TRIES):
            genome = sample_near(region, low, low + step, Random(f"{seed}/gain/{number}/{attempt}"))
            arch = None if genome is None else decode(space, genome)
            if arch is not None and arch not in met and table.flops(arch.at(cost_size)) >= band.low:
                break
        else:
            raise UserError(
                f"no further arch of {format_flops(band.low)} to {format_flops(band.high)} FLOPs was found in space "
                f"{space.name}; lower --random {count}"
            )
        met.add(arch)
        archs.append(NamedArch(f"R{number:02d}", arch, {"flops": table.flops(arch.at(cost_size)), "seed": seed}))
    return archs
