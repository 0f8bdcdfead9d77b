"""A search's limits other than FLOPs, which also apply to the random archs compared with its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reid.files import expecting
from search.costs import CostTable
from search.folder import CURE, SUMMARY, read_summary
from search.limits.limits import Limits, describe
from supernet.arch import Arch
from supernet.space import Space
from tools.jobs.latency.searched import searched_latency
from tools.jobs.paths import shown

_ELSE = "draw random archs where it was searched, or name archs that were drawn there with --random-archs"


@dataclass(frozen=True)
class RivalLimits:
    """A search's limits other than FLOPs.

    Attributes:
        limits: ``None`` if there are none.
        latency: predicts ms in the way that the search did, if latency is limited.
    """

    limits: Limits | None = None
    latency: Callable[[Arch], float] | None = None

    @property
    def words(self) -> str:
        """``" and at most 5 ms"``, or nothing."""
        return "" if self.limits is None else f" and {describe(self.limits)}"


def rival_limits(search: Path, space: Space, costs: CostTable) -> RivalLimits:
    """The limits of a search as its ``search.json`` records them, without that on FLOPs, since the random archs' FLOPs
    may lie on either side of the found arch's.

    Args:
        space: at the input size at which costs are counted.

    Raises:
        UserError: the summary is damaged, or latency is limited and the search's table is not available.
    """
    summary = read_summary(search)
    with expecting(search / SUMMARY, CURE):
        settings = summary["settings"]
        given = {name: settings.get(f"limit_{name}") for name in ("latency_ms", "parameters")}
        target = settings.get("target")
    if all(limit is None for limit in given.values()):
        return RivalLimits()
    limits = Limits(**given)
    if limits.latency_ms is None:
        return RivalLimits(limits)
    return RivalLimits(limits, searched_latency(search, target, space, costs, f"search {shown(search)}", _ELSE))
