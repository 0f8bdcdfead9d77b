"""``Committee``: an arch's score by several supernets."""

from __future__ import annotations

from collections.abc import Sequence

from search.workers import Evaluate
from supernet.arch import Arch


class Committee:
    """``committee(arch)``: the mean of the arch's scores by ``members``, NaN if any of them has no score.

    Supernets of one space and recipe have different errors: their mean ranks nearly as well as the best of them, which
    is not known beforehand.

    Args:
        members: evaluators of one supernet each, on the same images; all give the same metrics.
    """

    def __init__(self, members: Sequence[Evaluate]) -> None:
        self.members = tuple(members)

    def __call__(self, arch: Arch) -> dict[str, float]:
        """The members' metrics, each their mean."""
        told = [dict(member(arch)) for member in self.members]
        return {name: sum(each[name] for each in told) / len(told) for name in told[0]}
