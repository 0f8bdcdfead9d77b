"""Base class of all proposers: generations, no arch twice, and a fallback for small spaces.

Everything is a function of the seed and of the candidates of earlier generations: each trial has its own random
numbers, and within a generation only its archs matter, not their scores. So the candidates of a generation can be
evaluated in any order by any number of workers, and a resumed search continues exactly as an uninterrupted one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from search.config import SearchConfig
from search.history import Candidate
from search.limits import ArchCost, Region, archs_downwards, sample_near
from supernet.arch import Arch
from supernet.space import Genome, decode

RANDOM_DRAWS = 10
"""Random draws that may fail in a part of the band, and then in all of it, before archs are taken in the
order of a list. One seldom fails unless nearly every arch within the limits is known.
"""


@dataclass(frozen=True)
class Proposal:
    """An arch to evaluate: inside the limits and never proposed before. Fields as in ``Candidate``."""

    trial: int
    origin: str
    genome: Genome
    arch: Arch
    cost: ArchCost


@dataclass(frozen=True)
class Draws:
    """A way to draw for a trial.

    Attributes:
        draw: gives a genome, or none, that may be outside the limits or known already; the text is its origin.
        attempts: how often it may fail in a row before another way is tried.
        wanted: how many archs to draw, of which ``Proposer._choose`` takes one.
    """

    draw: Callable[[Random], tuple[Genome | None, str]]
    attempts: int
    wanted: int = 1


class Proposer(ABC):
    """Proposes generation after generation; subclasses say how by ``_ways``.

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

    def observe(self, generation: Sequence[Candidate]) -> None:
        """Records an evaluated generation; generations must come in order, and candidates in the order of trials."""
        self._known.update(candidate.arch for candidate in generation)

    def propose(self, trials: range) -> list[Proposal]:
        """The archs to evaluate as ``trials``, all of one generation, when all earlier generations were observed.

        Fewer where no further arch was found within the limits.
        """
        proposals = []
        for trial in trials:
            proposal = self._propose(trial, Random(f"{self.seed}/{trial}"))
            if proposal is None:
                break
            self._known.add(proposal.arch)
            proposals.append(proposal)
        return proposals

    @abstractmethod
    def _ways(self, trial: int) -> list[Draws]:
        """The ways to draw for a trial, in the order in which they are tried."""

    def _choose(self, proposals: list[Proposal]) -> Proposal:
        """The one to evaluate of those that a way has drawn."""
        return proposals[0]

    def _spread(self, trial: int) -> Draws:
        """Draws from one of ``config.population`` parts that the band of FLOPs is cut into; they take turns."""
        parts = len(self._parts)
        step = (self.region.upper - self.region.lower) / parts
        low = self.region.lower + self._parts[trial % parts] * step
        return Draws(lambda random: (sample_near(self.region, low, low + step, random), "random"), RANDOM_DRAWS)

    def _propose(self, trial: int, random: Random) -> Proposal | None:
        anywhere = Draws(
            lambda random: (sample_near(self.region, self.region.lower, self.region.upper, random), "random"),
            RANDOM_DRAWS,
        )
        for way in (*self._ways(trial), anywhere):
            if drawn := self._draw(way, trial, random):
                return self._choose(drawn) if len(drawn) > 1 else drawn[0]
        for genome, arch in self._listing:
            if arch not in self._known:
                return Proposal(trial, "listing", genome, arch, self.region.cost(arch))
        return None

    def _draw(self, way: Draws, trial: int, random: Random) -> list[Proposal]:
        """Up to ``way.wanted`` new archs within the limits; they differ from each other."""
        drawn: dict[Arch, Proposal] = {}
        failures = 0
        while failures < way.attempts and len(drawn) < way.wanted:
            genome, origin = way.draw(random)
            failures += 1
            if genome is None:
                continue
            arch = decode(self.region.space, genome)
            if arch in self._known or arch in drawn:
                continue
            cost = self.region.cost(arch)
            if self.region.admits(cost):
                drawn[arch] = Proposal(trial, origin, genome, arch, cost)
                failures = 0
        return list(drawn.values())
