"""Random search, the baseline of every other strategy."""

from __future__ import annotations

from search.proposers.base import Draws, Proposer


class RandomProposer(Proposer):
    """The band of FLOPs is cut into ``config.population`` parts that are drawn from in turn."""

    def _ways(self, trial: int) -> list[Draws]:
        return [self._spread(trial)]
