"""The search as NNI runs it, against the proposer without NNI."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reid.errors import UserError
from search.config import SearchConfig
from search.history import Candidate
from search.limits import Limits, make_region
from search.nni_bridge.space import ArchEvaluator, ArchSpace
from search.nni_bridge.strategy import GenerationSearch
from search.proposers import STRATEGIES
from supernet.files import load_space

SPACE = load_space("tiny")
REGION = make_region(SPACE, Limits(flops=5_000_000))
CONFIG = SearchConfig(population=8, sample_size=3, generation=6)


def _score(arch) -> float:
    return sum(stage.width * block.kernel for stage in arch.stages for block in stage.blocks) / 10_000


def _search(kind, trials, history=(), seconds=None, config=CONFIG, seed=7) -> list[Candidate]:
    from nni.nas.execution import SequentialExecutionEngine  # after the search package, which prepares nni

    found: list[Candidate] = []
    proposer = kind(REGION, config, seed)
    strategy = GenerationSearch(proposer, config.generation, trials, 1, history, found.append)
    evaluator = ArchEvaluator(lambda arch: {"default": _score(arch), "rank1": 0.25})
    strategy(ArchSpace(SPACE, evaluator), SequentialExecutionEngine(max_duration=seconds))
    return found


def _untimed(candidates):
    return [replace(candidate, seconds=0.0) for candidate in candidates]


@pytest.mark.parametrize("kind", STRATEGIES.values())
def test_nni_runs_what_is_proposed(kind):
    found, proposer, wanted = _search(kind, 28), kind(REGION, CONFIG, 7), []
    for first in range(0, 28, 6):
        generation = proposer.propose(range(first, min(first + 6, 28)))
        assert [each.genome for each in found[first : first + 6]] == [each.genome for each in generation]
        proposer.observe(found[first : first + 6])
        wanted += generation
    assert [(c.trial, c.origin, c.arch) for c in found] == [(p.trial, p.origin, p.arch) for p in wanted]
    assert all((c.flops, c.parameters, c.latency_ms) == p.cost for c, p in zip(found, wanted, strict=True))
    assert all(c.score == _score(c.arch) and c.rank1 == 0.25 and c.seconds >= 0 for c in found)


@pytest.mark.parametrize("kind", STRATEGIES.values())
def test_history_of_any_length_goes_on_alike(kind):
    whole = _search(kind, 26)
    for length in range(27):
        rest = _search(kind, 26, history=whole[:length])
        assert _untimed(whole[:length] + rest) == _untimed(whole)


def test_a_spent_budget_stops_inside_a_generation():
    first = _search(STRATEGIES["random"], None, seconds=1e-9)
    assert [candidate.trial for candidate in first] == [0]  # begun before anything was spent


def test_history_of_other_archs_is_refused():
    whole = _search(STRATEGIES["evolution"], 9)
    other = [*whole[:8], replace(whole[8], arch=whole[0].arch)]
    with pytest.raises(UserError, match="trial 8 of the search log is not the arch"):
        _search(STRATEGIES["evolution"], 12, history=other)
