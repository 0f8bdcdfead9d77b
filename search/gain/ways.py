"""Compares three kinds of weights for the same archs: a supernet's, these trained further, and from scratch."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from reid.words import counted
from search.gain.statistics import Difference, as_difference, mean_of


@dataclass(frozen=True)
class Ways:
    """mAPs of one arch on the test set, as fractions.

    Attributes:
        inherited: with the supernet's weights, BN calibrated.
        tuned: with these weights trained further.
        scratch: trained alone; the mean over seeds.
    """

    inherited: float
    tuned: float
    scratch: float


@dataclass(frozen=True)
class WaysCompared:
    """The ways compared over archs. Differences are paired, so their errors exclude variation between archs.

    Attributes:
        supernet: its label.
        epochs: for which its weights were trained further.
        count: number of archs.
        inherited, tuned, scratch: mean mAPs.
        inherited_over_scratch, tuned_over_scratch: first minus second.
    """

    supernet: str
    epochs: int
    count: int
    inherited: float
    tuned: float
    scratch: float
    inherited_over_scratch: Difference
    tuned_over_scratch: Difference


def compare_ways(archs: Sequence[Ways], supernet: str, epochs: int) -> WaysCompared:
    """The means over ``archs``, and the paired differences with Student's t intervals."""

    def mean(way: str) -> float:
        return statistics.fmean(getattr(arch, way) for arch in archs)

    def over_scratch(way: str) -> Difference:
        return as_difference(mean_of([getattr(arch, way) - arch.scratch for arch in archs]))

    return WaysCompared(
        supernet,
        epochs,
        len(archs),
        mean("inherited"),
        mean("tuned"),
        mean("scratch"),
        over_scratch("inherited"),
        over_scratch("tuned"),
    )


def ways_table(ways: WaysCompared) -> str:
    """``ways`` as text."""
    rows = ways_cells(ways)
    width = max(len(name) for name, _, _ in rows)
    lines = [f"  {name.ljust(width)}  {mAP:>5}{gain and '  '}{gain}" for name, mAP, gain in rows]
    return "\n".join([ways_title(ways), *lines])


def ways_title(ways: WaysCompared) -> str:
    """The table's title."""
    return f"mean mAP on the test set (%) of the same {ways.count} archs, by the way to their weights"


def ways_cells(ways: WaysCompared) -> list[tuple[str, str, str]]:
    """The lines of ``ways_table`` as cells: the way, its mean mAP in percent, and its lead over from scratch."""
    rows = [
        (f"{ways.supernet}, as it is", ways.inherited, ways.inherited_over_scratch),
        (f"{ways.supernet} + {counted(ways.epochs, 'epoch')}", ways.tuned, ways.tuned_over_scratch),
        ("from scratch", ways.scratch, None),
    ]
    return [(name, f"{100 * value:.1f}", _over(gain)) for name, value, gain in rows]


def _over(gain: Difference | None) -> str:
    """``"+1.5 over from scratch (0.3 to 2.7)"``."""
    if gain is None:
        return ""
    interval = "" if gain.low is None else f" ({100 * gain.low:.1f} to {100 * gain.high:.1f})"
    return f"{100 * gain.value:+.1f} over from scratch{interval}"
