"""Proposals: within the limits, never twice, complete in small spaces; and evolution is worth its name."""

from __future__ import annotations

from random import Random
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.config import SearchConfig
from search.cost import CostTable, flops_range
from search.history import Candidate
from search.nni_space import ArchEvaluator, ArchSpace
from search.proposal import EvolutionProposer, Proposer
from search.region import Region, archs_downwards
from search.strategy import ConstrainedEvolution, RandomSearch
from supernet.files import load_space
from supernet.space import Space, StageSpace, contains, crossover, decode, encode, mutate, sample

TABLE = CostTable()
TINY = load_space("tiny")


def _region(space: Space, share: float, lower_share: float = 0.0) -> Region:
    least, most = flops_range(space, TABLE)
    lower, upper = (round(least + part * (most - least)) for part in (lower_share, share))
    return Region(space, TABLE, lower, upper)


def _score(arch) -> float:
    """Rewards wide late stages and large kernels, punishes uneven depth; neither flat nor linear."""
    kernels = [block.kernel for stage in arch.stages for block in stage.blocks]
    widths = sum(number * stage.width for number, stage in enumerate(arch.stages, start=1))
    depths = [len(stage.blocks) for stage in arch.stages[1:]]
    return widths / 100 + mean(kernels) - (max(depths, default=0) - min(depths, default=0))


def _observed(proposer, trial: int, score: float | None = None) -> Candidate | None:
    """The next proposal, scored and handed back to the proposer."""
    proposal = proposer.propose(trial)
    if proposal is None:
        return None
    value = _score(proposal.arch) if score is None else score
    made = Candidate(trial, proposal.origin, *proposal.cost, value, None, 0.0, proposal.genome, proposal.arch)
    proposer.observe(made)
    return made


@pytest.mark.parametrize("kind", [Proposer, EvolutionProposer])
@pytest.mark.parametrize(("lower", "upper"), [(0.0, 0.02), (0.0, 0.3), (0.25, 0.3), (0.0, 1.0)])
def test_limits_are_kept_over_hundreds_of_proposals(kind, lower, upper):
    region = _region(TINY, upper, lower)
    proposer = kind(region, SearchConfig(), seed=3)
    found = []
    while len(found) < 400 and (candidate := _observed(proposer, len(found))):
        found.append(candidate)
    assert len(found) == 400 or upper == 0.02
    assert all(region.lower <= TABLE.flops(candidate.arch) <= region.upper for candidate in found)
    assert all(candidate.flops == TABLE.flops(candidate.arch) for candidate in found)
    assert len({candidate.arch for candidate in found}) == len(found)
    assert all(contains(TINY, candidate.arch) for candidate in found)


small_space = st.builds(
    Space,
    name=st.just("drawn"),
    input_size=st.just((8, 8)),
    stems=st.sampled_from([(4,), (4, 8)]),
    stages=st.lists(
        st.builds(
            StageSpace,
            stride=st.sampled_from([1, 2]),
            widths=st.sampled_from([(4,), (4, 8)]),
            depths=st.sampled_from([(1,), (1, 2)]),
            kernels=st.sampled_from([(3,), (3, 5)]),
            expands=st.sampled_from([(1,), (1, 2)]),
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
    last_widths=st.sampled_from([(8,), (0, 8)]),
)


@settings(deadline=None, max_examples=25)
@given(small_space, st.floats(0, 1), st.integers(0, 10**6), st.sampled_from([Proposer, EvolutionProposer]))
def test_small_spaces_are_searched_to_the_last_arch(space, share, seed, kind):
    region = _region(space, share * 0.5)  # half of the range is at most a few hundred archs
    wanted = {arch for _, arch in archs_downwards(region)}  # tested against brute force in test_region
    if len(wanted) > 150:
        return
    proposer = kind(region, SearchConfig(population=8, sample_size=3), seed)
    found = []
    while candidate := _observed(proposer, len(found)):
        found.append(candidate)
    assert {candidate.arch for candidate in found} == wanted and len(found) == len(wanted)


@given(st.integers(0, 10**9), st.floats(0, 1))
def test_mutation_and_crossover_stay_in_the_space(seed, probability):
    random = Random(seed)
    first, second = sample(TINY, random), sample(TINY, random)
    child = crossover(TINY, first, second, random)
    assert all(child[name] in (first[name], second[name]) for name in TINY.dimensions())
    mutant = mutate(TINY, child, probability, random)
    assert all(mutant[name] in options for name, options in TINY.dimensions().items())
    arch = decode(TINY, mutant)
    assert contains(TINY, arch) and decode(TINY, encode(TINY, arch)) == arch


def test_first_population_is_spread_over_the_band():
    region = _region(TINY, 0.5)
    config = SearchConfig(population=20, sample_size=5)
    proposer = EvolutionProposer(region, config, seed=0)
    first = [_observed(proposer, trial) for trial in range(20)]
    step = (region.upper - region.lower) / 20
    parts = sorted(min(19, int((candidate.flops - region.lower) / step)) for candidate in first)
    assert parts == list(range(20)) and {candidate.origin for candidate in first} == {"random"}


def test_children_resemble_living_parents():
    """Only the last ``population`` candidates can be parents, however good an older one was."""
    config = SearchConfig(population=2, sample_size=2, mutation=1e-9, crossover=0.0)
    proposer = EvolutionProposer(_region(TINY, 1.0), config, seed=1)
    found = [_observed(proposer, trial, score=1.0 / (trial + 1)) for trial in range(40)]
    for trial, child in enumerate(found[2:], start=2):
        best_living = max(found[trial - 2 : trial], key=lambda candidate: candidate.score)
        assert child.origin == "mutation"
        assert sum(child.genome[name] != best_living.genome[name] for name in child.genome) == 1


def test_failed_candidates_are_no_parents():
    config = SearchConfig(population=2, sample_size=1, mutation=1e-9, crossover=0.0)
    proposer = EvolutionProposer(_region(TINY, 1.0), config, seed=1)
    good = _observed(proposer, 0)
    for trial in range(1, 20):
        proposal = proposer.propose(trial)
        if trial > 1:
            assert sum(proposal.genome[name] != good.genome[name] for name in good.genome) == 1
        proposer.observe(Candidate(trial, "x", 0, 0, None, None, 0.0, proposal.genome, proposal.arch))


def _search(kind, seed: int, trials: int, region: Region) -> list[Candidate]:
    from nni.nas.execution import SequentialExecutionEngine  # after the search package, which prepares nni

    found: list[Candidate] = []
    strategy = kind(region, SearchConfig(population=20, sample_size=5), seed, (), found.append)
    evaluator = ArchEvaluator(lambda arch: {"default": _score(arch), "rank1": 0.25})
    strategy(ArchSpace(region.space, evaluator), SequentialExecutionEngine(max_model_count=trials))
    return found


def test_evolution_beats_random_search():
    region = _region(TINY, 0.5)
    best = {
        kind: [max(c.score for c in _search(kind, seed, 120, region)) for seed in range(5)]
        for kind in (ConstrainedEvolution, RandomSearch)
    }
    assert mean(best[ConstrainedEvolution]) > mean(best[RandomSearch])


def test_nni_runs_what_was_proposed():
    region = _region(TINY, 0.4)
    found = _search(ConstrainedEvolution, 7, 60, region)
    proposer = EvolutionProposer(region, SearchConfig(population=20, sample_size=5), seed=7)
    assert [c.arch for c in found] == [_observed(proposer, trial).arch for trial in range(60)]
    assert all(c.score == _score(c.arch) and c.rank1 == 0.25 and c.seconds >= 0 for c in found)
    assert [c.trial for c in found] == list(range(60))
    assert {"random", "mutation", "crossover"} == {c.origin for c in found}
