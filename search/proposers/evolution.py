"""Regularised (aging) evolution with crossover (Real et al., "Regularized Evolution for Image Classifier Architecture
Search", AAAI 2019)."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from random import Random

from search.config import SearchConfig
from search.history import Candidate
from search.limits import Region
from search.proposers.base import Draws, Proposal, Proposer
from search.proposers.screening import Screen
from supernet.space import Genome
from supernet.space.genome import crossover, mutate

CHILDREN = 100
"""Children that may be outside the limits or known already before a random arch takes their place."""


class FamilyProposer(Proposer):
    """The first ``config.population`` trials are random; then come children of earlier generations.

    A child has one parent, or with chance ``config.crossover`` two, and is mutated. Children outside the limits or
    known already are drawn again, parents included. Subclasses say who is a parent.
    """

    def __init__(self, region: Region, config: SearchConfig, seed: int) -> None:
        super().__init__(region, config, seed)
        self._screen = Screen(region.space, config)

    def observe(self, generation: Sequence[Candidate]) -> None:
        super().observe(generation)
        self._screen.observe(generation)

    @abstractmethod
    def _parent(self, random: Random) -> Genome | None:
        """A parent's genome; None while no candidate has a score."""

    def _ways(self, trial: int) -> list[Draws]:
        if trial < self.config.population:
            return [self._spread(trial)]
        return [Draws(self._child, CHILDREN, self._screen.wanted), self._spread(trial)]

    def _child(self, random: Random) -> tuple[Genome | None, str]:
        genome, origin = self._parent(random), "mutation"
        if genome is None:
            return None, origin
        if random.random() < self.config.crossover:
            genome, origin = crossover(self.region.space, genome, self._parent(random), random), "crossover"
        return mutate(self.region.space, genome, self.config.mutation, random), origin


class EvolutionProposer(FamilyProposer):
    """A parent wins a tournament for the best score among ``config.sample_size`` of the living, which are the last
    ``config.population`` candidates that got a score: the oldest die, however good they are."""

    def __init__(self, region: Region, config: SearchConfig, seed: int) -> None:
        super().__init__(region, config, seed)
        self._living: deque[Candidate] = deque(maxlen=config.population)

    def observe(self, generation: Sequence[Candidate]) -> None:
        super().observe(generation)
        self._living.extend(candidate for candidate in generation if candidate.score is not None)

    def _parent(self, random: Random) -> Genome | None:
        if not self._living:
            return None
        met = random.sample(list(self._living), min(self.config.sample_size, len(self._living)))
        return max(met, key=lambda candidate: candidate.score).genome

    def _choose(self, proposals: list[Proposal]) -> Proposal:
        """The child with the best predicted score."""
        scores = self._screen.scores(proposals)
        return proposals[int(scores.argmax())]
