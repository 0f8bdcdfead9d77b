"""Search for the whole front of score and costs: NSGA-II (Deb et al., "A Fast and Elitist Multiobjective Genetic
Algorithm: NSGA-II", IEEE TEC 2002)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from reid.errors import UserError
from search.config import SearchConfig
from search.front import cost_fields
from search.front.dominance import crowding_distances, domination_ranks
from search.history import Candidate
from search.limits import ArchCost, Region
from search.proposers.base import Proposal
from search.proposers.evolution import FamilyProposer
from supernet.space import Genome


class ParetoProposer(FamilyProposer):
    """The best ``config.population`` of all candidates live on: by rank in the sorting into fronts, and inside a front
    those with the most room around them. A parent wins a tournament of two by the same measure.

    A generation is ``config.generation`` children; in the paper it has as many children as parents. The score is traded
    for the costs in ``config.front``: by default predicted latency if the region has a target, else FLOPs. Archs
    outside the limits are never evaluated, so the paper's rules for them are not needed.

    Raises:
        UserError: latency is among the costs, and the region has no latency target.
    """

    def __init__(self, region: Region, config: SearchConfig, seed: int) -> None:
        super().__init__(region, config, seed)
        self.costs = front_costs(region, config)
        self._living: list[Candidate] = []
        self._fitness: list[tuple[int, float]] = []

    def observe(self, generation: Sequence[Candidate]) -> None:
        super().observe(generation)
        pool = [*self._living, *(candidate for candidate in generation if candidate.score is not None)]
        losses = np.array([[-each.score, *self._costs(each)] for each in pool]).reshape(-1, 1 + len(self.costs))
        fitness = _fitness(losses)
        order = sorted(range(len(pool)), key=lambda index: (fitness[index], pool[index].trial))
        kept = order[: self.config.population]
        self._living, self._fitness = [pool[index] for index in kept], [fitness[index] for index in kept]

    def _parent(self, random: Random) -> Genome | None:
        if not self._living:
            return None
        met = random.sample(range(len(self._living)), min(2, len(self._living)))
        return self._living[min(met, key=lambda index: self._fitness[index])].genome

    def _choose(self, proposals: list[Proposal]) -> Proposal:
        """The child that the predictor expects to rise farthest above the best score known at its costs or less."""
        scores = self._screen.scores(proposals)
        known = [self._best_up_to(self._costs(each.cost)) for each in proposals]
        return proposals[int(np.argmax(scores - known))]

    def _best_up_to(self, costs: Sequence[float]) -> float:
        """The best score among the living that cost at most ``costs`` by every cost; the lowest of all if none does."""
        scores = [
            each.score for each in self._living if all(a <= b for a, b in zip(self._costs(each), costs, strict=True))
        ]
        return max(scores) if scores else min(each.score for each in self._living)

    def _costs(self, owner: Candidate | ArchCost) -> tuple[float, ...]:
        return tuple(getattr(owner, cost) for cost in self.costs)


def front_costs(region: Region, config: SearchConfig) -> tuple[str, ...]:
    """The fields of ``Candidate`` and ``ArchCost`` that a front is drawn over; raises as ``ParetoProposer`` does."""
    timed = region.latency is not None
    costs = cost_fields(config.front, timed)
    if "latency_ms" in costs and not timed:
        raise UserError(
            f"search.front={','.join(config.front)}: latency needs a target to be measured on; set search.target"
        )
    return costs


def _fitness(losses: np.ndarray) -> list[tuple[int, float]]:
    """``(rank, -crowding distance)`` of each row: less is better."""
    ranks = domination_ranks(losses)
    crowding = crowding_distances(losses, ranks)
    return [(int(rank), -float(distance)) for rank, distance in zip(ranks, crowding, strict=True)]
