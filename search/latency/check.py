"""Error of predicted latencies on whole networks that the table has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reid.errors import UserError
from search.costs import CostTable
from search.latency.draws import spread_archs
from search.latency.measure import ROUNDS, SECONDS, measure_archs
from search.latency.table import LatencyTable
from supernet.arch import Arch
from supernet.space import Space

ANCHORS = 8
"""Networks of the table's fit that are measured again to see how fast the machine is now."""

TOLD_DRIFT = 0.03
"""Drift from which ``describe_error`` mentions it."""


@dataclass(frozen=True)
class LatencyRow:
    """One network: its predicted ms, and its least measured ms at the machine speed that the table was measured at."""

    arch: Arch
    flops: int
    predicted_ms: float
    measured_ms: float

    @property
    def error(self) -> float:
        """Error relative to the measured latency; above 0 if the prediction is too high."""
        return self.predicted_ms / self.measured_ms - 1


@dataclass(frozen=True)
class LatencyError:
    """Relative errors (fractions) of predictions, and Spearman's rank correlation with what was measured: 0 where all
    of either are alike, as by a coarse clock, and there is no order.

    Attributes:
        drift: how many times as long networks took as when the table was measured; taken out of every row.
    """

    median: float
    worst: float
    spearman: float
    drift: float
    rows: tuple[LatencyRow, ...]


def prediction_error(
    table: LatencyTable,
    space: Space,
    n: int = 30,
    seed: int = 0,
    *,
    costs: CostTable | None = None,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
    progress: bool = True,
) -> LatencyError:
    """Measures ``n`` archs whole, drawn all over the FLOPs of ``space``, none of them among those fitted on; a space of
    so few archs that fewer than two are left is checked on those.

    The speed of a busy machine varies. Some of the networks that the table was fitted on are therefore measured in turn
    with the others, to find the machine's current speed. A table of another machine already has times for this: nothing
    is measured, and ``n`` and ``seed`` are its kit's.

    Args:
        space: the table's, at its input size.
        costs: what has been counted already.
        rounds, seconds: see ``take_turns``.

    Raises:
        UserError: the space has only one arch.
    """
    costs = CostTable() if costs is None else costs
    if table.device is not None:
        checked = table.device.checked.items()
        return error_of(tuple(LatencyRow(arch, costs.flops(arch), table.latency(arch), ms) for arch, ms in checked))
    archs = archs_to_check(space, list(table.fitted), n, seed, costs)
    anchors = list(table.fitted.items())[:: max(1, len(table.fitted) // ANCHORS)]
    everything = [*archs, *(arch for arch, _ in anchors)]
    timings = measure_archs(everything, table.target, rounds=rounds, seconds=seconds, progress=progress)
    now = [timing.least_ms for timing in timings]
    drift = float(np.median([ms / before for ms, (_, before) in zip(now[len(archs) :], anchors, strict=True)]))
    rows = [
        LatencyRow(arch, costs.flops(arch), table.latency(arch), ms / drift)
        for arch, ms in zip(archs, now, strict=False)
    ]
    return error_of(tuple(rows), drift)


def archs_to_check(space: Space, fitted: Sequence[Arch], n: int, seed: int, costs: CostTable) -> list[Arch]:
    """The archs of ``prediction_error``, from what the table is ``fitted`` on; errors as there."""
    drawn, known = spread_archs(space, n + len(fitted), f"check/{seed}", costs), set(fitted)
    archs = [arch for arch in drawn if arch not in known]
    archs = archs if len(archs) > 1 else drawn
    if len(archs) < 2:
        raise UserError(f"space {space.name} has only one arch, so there is nothing to compare; use a space with more")
    return [archs[place * len(archs) // n] for place in range(n)] if len(archs) > n else archs


def error_of(rows: tuple[LatencyRow, ...], drift: float = 1.0) -> LatencyError:
    """The figures of the rows."""
    from scipy.stats import spearmanr  # here, since it takes a second to import

    errors = np.abs([row.error for row in rows])
    both = [row.predicted_ms for row in rows], [row.measured_ms for row in rows]
    rank = float(spearmanr(*both).statistic) if all(len(set(each)) > 1 for each in both) else 0.0
    return LatencyError(float(np.median(errors)), float(errors.max()), rank, drift, rows)


def describe_error(error: LatencyError) -> str:
    """``"off by 2.1 % (median) and 7.0 % (worst) on 30 whole networks, rank correlation 0.983"``, and the drift where
    there is one."""
    line = (
        f"off by {100 * error.median:.1f} % (median) and {100 * error.worst:.1f} % (worst) on {len(error.rows)} whole "
        f"networks, rank correlation {error.spearman:.3f}"
    )
    if abs(error.drift - 1) > TOLD_DRIFT:
        slower = "slower" if error.drift > 1 else "faster"
        line += f"; the machine is {100 * abs(error.drift - 1):.0f} % {slower} now, which is corrected for"
    return line
