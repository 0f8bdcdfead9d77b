"""``Means``: the functions and processes with which a search costs and scores archs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from search.costs import CostTable
from search.finalists import Judge
from search.result import Report
from search.workers import Evaluate, Team
from supernet.arch import Arch

Measure = Callable[[Sequence[Arch]], Sequence[float]]
"""Latencies of whole networks in ms, measured on the target."""


@dataclass(frozen=True)
class Means:
    """The functions and processes that a search uses.

    Attributes:
        evaluate: an arch at its size in the space to ``{"default": score, "rank1": ...}``; a NaN score is a failed
            candidate, an exception ends the search (and resuming goes on with the same candidate).
        table: costs that were counted already, where several searches share them.
        latency: predicted ms of an arch on the config's target; ``None`` where there is no target. A resumed search
            must be given the same.
        measure: measures the chosen archs on the target.
        judge: trains the finalists, where the config asks for some.
        report: shows the result in the folder, before the search is marked as finished there.
        team: processes that share the evaluations, of which this is the first; the log is the same for any number.
    """

    evaluate: Evaluate
    table: CostTable = field(default_factory=CostTable)
    latency: Callable[[Arch], float] | None = None
    measure: Measure | None = None
    judge: Judge | None = None
    report: Report | None = None
    team: Team = field(default_factory=Team)
