"""The limits of a search's rivals besides FLOPs: the same as the search's own."""

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
    """A search's limits on anything but FLOPs.

    Attributes:
        limits: ``None`` where it had no such limit.
        latency: predicted ms as the search predicted them, where latency is limited.
    """

    limits: Limits | None = None
    latency: Callable[[Arch], float] | None = None

    @property
    def words(self) -> str:
        """``" and at most 5 ms"``, or nothing."""
        return "" if self.limits is None else f" and {describe(self.limits)}"


def rival_limits(search: Path, space: Space, costs: CostTable) -> RivalLimits:
    """The limits of the search in a run folder that its ``search.json`` tells, but for that on FLOPs: rivals lie to
    either side of the found arch's.

    Args:
        space: at the input size that costs are counted at.

    Raises:
        UserError: the summary is damaged, or latency is limited and the search's table is not at hand.
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
