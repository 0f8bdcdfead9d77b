"""Which arch to evaluate next: regularised (aging) evolution and random search, both under a FLOPs limit.

Everything is a function of the seed and of the candidates so far: each trial has random numbers of its own,
so that a resumed search goes on exactly as an unbroken one would.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from search.config import SearchConfig
from search.cost import Cost
from search.history import Candidate
from search.region import Region, archs_downwards, sample_near
from supernet.arch import Arch
from supernet.space import Genome, crossover, decode, mutate

Draw = Callable[[Random], tuple[Genome | None, str]]
"""Draws a genome, or none, that may be outside the limits or known already; the text is its origin."""

RANDOM_DRAWS = 10
"""Random draws that may fail in a part of the band, and then in all of it, before archs are taken in the
order of a list. One seldom fails unless nearly every arch within the limits is known.
"""

CHILDREN = 100
"""Children that may be outside the limits or known already before a random arch takes their place."""


@dataclass(frozen=True)
class Proposal:
    """An arch to evaluate: inside the limits and never proposed before. Fields as in ``Candidate``."""

    trial: int
    origin: str
    genome: Genome
    arch: Arch
    cost: Cost


class Proposer:
    """Random search: the band of FLOPs is cut into ``config.population`` parts that are drawn from in turn.

    Args:
        region: where to search.
        config: see ``SearchConfig``.
        seed: of every random number.
    """

    def __init__(self, region: Region, config: SearchConfig, seed: int) -> None:
        self.region, self.config, self.seed = region, config, seed
        self._known: set[Arch] = set()
        self._listing: Iterator[tuple[Genome, Arch]] = archs_downwards(region)
        # Shuffled, so that the order in which the first candidates age has nothing to do with their FLOPs.
        self._parts = Random(f"{seed}/parts").sample(range(config.population), config.population)

    def observe(self, candidate: Candidate) -> None:
        """Takes note of an evaluated candidate; candidates must come in the order of their trials."""
        self._known.add(candidate.arch)

    def propose(self, trial: int) -> Proposal | None:
        """The arch to evaluate as number ``trial``; ``None`` where no new one was found within the limits."""
        random = Random(f"{self.seed}/{trial}")
        for draw, attempts in (*self._draws(trial), (self._draw_anywhere, RANDOM_DRAWS)):
            for _ in range(attempts):
                genome, origin = draw(random)
                if genome is None:
                    continue
                arch = decode(self.region.space, genome)
                if arch not in self._known and self.region.holds(arch):
                    return Proposal(trial, origin, genome, arch, self.region.table.cost(arch))
        for genome, arch in self._listing:
            if arch not in self._known:
                return Proposal(trial, "listing", genome, arch, self.region.table.cost(arch))
        return None

    def _draws(self, trial: int) -> list[tuple[Draw, int]]:
        """The kinds of draw for a trial, in the order in which they are tried, with how often."""
        parts = len(self._parts)
        step = (self.region.upper - self.region.lower) / parts
        low = self.region.lower + self._parts[trial % parts] * step
        return [(lambda random: (sample_near(self.region, low, low + step, random), "random"), RANDOM_DRAWS)]

    def _draw_anywhere(self, random: Random) -> tuple[Genome | None, str]:
        return sample_near(self.region, self.region.lower, self.region.upper, random), "random"


class EvolutionProposer(Proposer):
    """Regularised evolution (Real et al. 2019) with crossover; ``Proposer`` draws the first population.

    Parents win a tournament among ``sample_size`` of the living; the oldest dies when a new candidate comes.
    Children outside the limits or known already are drawn again, parents included. Arguments as
    ``Proposer``'s.
    """

    def __init__(self, region: Region, config: SearchConfig, seed: int) -> None:
        super().__init__(region, config, seed)
        self._living: deque[Candidate] = deque(maxlen=config.population)

    def observe(self, candidate: Candidate) -> None:
        super().observe(candidate)
        if candidate.score is not None:
            self._living.append(candidate)

    def _draws(self, trial: int) -> list[tuple[Draw, int]]:
        if trial < self.config.population or not self._living:
            return super()._draws(trial)
        return [(self._draw_child, CHILDREN)]

    def _draw_child(self, random: Random) -> tuple[Genome, str]:
        genome, origin = self._parent(random), "mutation"
        if random.random() < self.config.crossover:
            genome, origin = crossover(self.region.space, genome, self._parent(random), random), "crossover"
        return mutate(self.region.space, genome, self.config.mutation, random), origin

    def _parent(self, random: Random) -> Genome:
        met = random.sample(list(self._living), min(self.config.sample_size, len(self._living)))
        return max(met, key=lambda candidate: candidate.score).genome
