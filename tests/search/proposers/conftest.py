"""An artificial score, and whole searches by a proposer without NNI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean

import pytest

from search.config import SearchConfig
from search.costs import CostTable, flops_range
from search.history import Candidate
from search.limits import Limits, Region, make_region
from search.proposers.base import Proposal, Proposer
from supernet.arch import Arch
from supernet.files import load_space
from supernet.space import Space

TABLE = CostTable()


def _score(arch: Arch) -> float:
    """Rewards wide late stages and large kernels, punishes uneven depth; neither flat nor linear."""
    kernels = [block.kernel for stage in arch.stages for block in stage.blocks]
    widths = sum(number * stage.width for number, stage in enumerate(arch.stages, start=1))
    depths = [len(stage.blocks) for stage in arch.stages[1:]]
    return widths / 100 + mean(kernels) - (max(depths, default=0) - min(depths, default=0))


@pytest.fixture(scope="session")
def score() -> Callable[[Arch], float]:
    return _score


@pytest.fixture(scope="session")
def make_band() -> Callable[..., Region]:
    """The archs of a space (``tiny``) in a band of its FLOPs, given in shares of their span."""

    def make(upper: float, lower: float = 0.0, space: Space | None = None) -> Region:
        space = space or load_space("tiny")
        least, most = flops_range(space, TABLE)
        limit = round(least + upper * (most - least))
        floor = (least + lower * (most - least)) / limit
        return make_region(space, Limits(flops=limit), min_fraction=floor if lower else 0.0, table=TABLE)

    return make


@pytest.fixture(scope="session")
def evaluated() -> Callable[..., Candidate]:
    """A proposal as a candidate, by the artificial score or a given one."""

    def make(proposal: Proposal, value: Callable[[Arch], float | None] = _score) -> Candidate:
        cost = proposal.cost
        return Candidate(
            trial=proposal.trial,
            origin=proposal.origin,
            flops=cost.flops,
            parameters=cost.parameters,
            score=value(proposal.arch),
            rank1=None,
            seconds=0.0,
            genome=proposal.genome,
            arch=proposal.arch,
            latency_ms=cost.latency_ms,
        )

    return make


@pytest.fixture(scope="session")
def search(evaluated) -> Callable[..., list[Candidate]]:
    """All candidates of a search of ``trials``; fewer where no more were found."""

    def run(
        kind: type[Proposer],
        region: Region,
        config: SearchConfig,
        seed: int,
        trials: int,
        value: Callable[[Arch], float | None] = _score,
        history: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        proposer, found = kind(region, config, seed), list(history)
        for start in range(0, len(found), config.generation):
            proposer.observe(found[start : start + config.generation])
        while len(found) < trials:
            wanted = range(len(found), min(trials, len(found) + config.generation))
            generation = [evaluated(proposal, value) for proposal in proposer.propose(wanted)]
            proposer.observe(generation)
            found += generation
            if len(generation) < len(wanted):
                break
        return found

    return run
