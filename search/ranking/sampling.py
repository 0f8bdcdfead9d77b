"""Archs spread evenly over a band of FLOPs, on a logarithmic scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from reid.errors import UserError
from search.costs import CostTable, flops_range
from search.flops_words import format_flops
from search.limits import ArchCost, Limits, Region, make_region, sample_near
from supernet.arch import Arch
from supernet.files import NamedArch
from supernet.space import Space, decode, sizes_words

FEWEST = 4
"""Fewest archs for a ranking; even with 20, the interval of a tau is some 0.3 wide."""

TRIES = 100
"""Draws for one stratum before its archs are considered used up."""


@dataclass(frozen=True)
class Band:
    """The range of FLOPs that archs are drawn from, ``low`` to ``high``.

    Attributes:
        prefix: of the archs' names: ``W`` for the whole space, ``B`` for a band of it.
    """

    low: int
    high: int
    prefix: str


def find_band(
    space: Space, centre: int | None, within: float, cost_size: tuple[int, int] | None, table: CostTable
) -> Band:
    """The FLOPs ``centre * (1 - within)`` to ``centre * (1 + within)``, counted at ``cost_size`` and cut to the space's
    range; the whole range if ``centre`` is ``None``.

    Raises:
        UserError: ``within`` is not between 0 and 1, or the space has no such FLOPs.
    """
    space = space.at(cost_size)
    least, most = flops_range(space, table)
    if centre is None:
        return Band(least, most, "W")
    if not 0 < within < 1:
        raise UserError(f"--within {within:g}: must be between 0 and 1; 0.05 means 5 % on either side")
    low, high = round(centre * (1 - within)), round(centre * (1 + within))
    if high < least or low > most:
        raise UserError(
            f"--band {format_flops(centre)}: space {space.name} spans {format_flops(least)} to {format_flops(most)} "
            f"at {sizes_words(space)}; give FLOPs in this range"
        )
    return Band(max(low, least), min(high, most), "B")


def stratified_archs(
    space: Space, band: Band, count: int, seed: int, cost_size: tuple[int, int] | None, table: CostTable
) -> list[NamedArch]:
    """``count`` different archs of the band, at ``space``'s input size: one from each of ``count`` strata that span the
    same ratio of FLOPs, or the nearest one found if a stratum is empty.

    Uniformly random archs crowd in the middle of most spaces, where they hardly differ; and accuracy follows the
    logarithm of FLOPs, so strata of equal width would crowd where more FLOPs no longer help. Each arch is a function of
    the seed and its number, apart from redraws of archs drawn before.

    Raises:
        UserError: ``count`` is below ``FEWEST``, or the band has too few archs.
    """
    check_count(count, "--n")
    region = make_region(space, Limits(flops=band.high), cost_size=cost_size, table=table)
    region = replace(region, floor=ArchCost(band.low, 0, 0.0))
    ratio = (band.high / band.low) ** (1 / count)
    archs: list[NamedArch] = []
    for number in range(count):
        low = band.low * ratio**number
        met = {named.arch for named in archs}
        arch = _draw(region, space, low, low * ratio, f"{seed}/rank/{band.prefix}/{number}", met)
        if arch is None:
            raise UserError(
                f"no further arch of {format_flops(low)} to {format_flops(low * ratio)} FLOPs was found in space "
                f"{space.name}; lower --n {count}, or widen the band with --within"
            )
        flops = table.flops(arch.at(cost_size))
        archs.append(NamedArch(f"{band.prefix}{number:02d}", arch, {"flops": flops, "seed": seed}))
    return archs


def _draw(region: Region, space: Space, low: float, high: float, seed: str, met: set[Arch]) -> Arch | None:
    """The first arch that is not in ``met``; ``None`` if there is none in ``TRIES`` draws."""
    for attempt in range(TRIES):
        genome = sample_near(region, low, high, Random(f"{seed}/{attempt}" if attempt else seed))
        if genome is not None and (arch := decode(space, genome)) not in met:
            return arch
    return None


def check_count(count: int, what: str) -> None:
    """Raises UserError if the archs are too few for a ranking."""
    if count < FEWEST:
        raise UserError(f"{what}: {count} archs are too few for a ranking; give at least {FEWEST}")
