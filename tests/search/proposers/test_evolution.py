"""Evolution: who is a parent, and that it is worth its name."""

from __future__ import annotations

from dataclasses import replace
from math import comb
from random import Random
from statistics import mean

import pytest

from search.config import SearchConfig
from search.proposers.evolution import EvolutionProposer
from search.proposers.pareto import ParetoProposer
from search.proposers.random import RandomProposer

PAIR = SearchConfig(population=2, sample_size=2, mutation=1e-9, crossover=0.0, generation=1)


def test_children_resemble_living_parents(make_band, search):
    """Only the last ``population`` candidates can be parents, however good an older one was."""
    marks = iter(range(1, 100))
    found = search(EvolutionProposer, make_band(1.0), PAIR, 1, 40, lambda arch: 1.0 / next(marks))
    for trial, child in enumerate(found[2:], start=2):
        best_living = max(found[trial - 2 : trial], key=lambda candidate: candidate.score)
        assert child.origin == "mutation"
        assert sum(child.genome[name] != best_living.genome[name] for name in child.genome) == 1


def test_children_of_two_parents_take_after_both(make_band, search):
    """But for the one choice that is mutated, each is as in one of the two living."""
    found, mixed = search(EvolutionProposer, make_band(1.0), replace(PAIR, sample_size=1, crossover=1.0), 1, 20), 0
    for trial, child in enumerate(found[2:], start=2):
        first, second = (parent.genome for parent in found[trial - 2 : trial])
        assert child.origin == "crossover"
        assert sum(value not in (first[name], second[name]) for name, value in child.genome.items()) <= 1
        mixed += all(sum(child.genome[name] != one[name] for name in one) > 1 for one in (first, second))
    assert mixed > 2  # at first: the two are soon near relatives


def test_a_parent_is_the_best_of_as_many_as_meet(make_band, search):
    """Of 8 living 3 meet: the best wins unless it is left out, the last but two only against the last two."""
    marks, config = iter(range(8)), replace(PAIR, population=8, sample_size=3)
    living = search(EvolutionProposer, make_band(1.0), config, 1, 8, lambda arch: float(next(marks)))
    proposer = EvolutionProposer(make_band(1.0), config, 1)
    proposer.observe(living)
    genomes = [each.genome for each in living]
    wins = [genomes.index(proposer._parent(Random(seed))) for seed in range(2000)]
    for place in range(8):
        share = comb(place, 2) / comb(8, 3)  # two of those before it meet it
        assert abs(wins.count(place) - 2000 * share) <= 4 * (2000 * share) ** 0.5


@pytest.mark.parametrize("kind", [EvolutionProposer, ParetoProposer])
def test_failed_candidates_are_no_parents(kind, make_band, search):
    marks = iter(range(100))
    found = search(kind, make_band(1.0), PAIR, 1, 20, lambda arch: 1.0 if next(marks) == 0 else None)
    for child in found[2:]:
        assert sum(child.genome[name] != found[0].genome[name] for name in child.genome) == 1


@pytest.mark.parametrize("kind", [EvolutionProposer, ParetoProposer])
def test_without_a_score_draws_go_on_at_random(kind, make_band, search):
    """As the first ones were: from each part of the band in turn."""
    region, config = make_band(0.5), replace(PAIR, population=10)
    found = search(kind, region, config, 1, 40, lambda arch: None)
    assert {candidate.origin for candidate in found} == {"random"} and len(found) == 40
    step = (region.upper - region.lower) / 10
    parts = [min(9, int((candidate.flops - region.lower) / step)) for candidate in found]
    assert sorted(parts[:10]) == list(range(10)) and parts == 4 * parts[:10]


def test_evolution_beats_random_search(make_band, search):
    region, config = make_band(0.5), SearchConfig(population=20, sample_size=5)
    best = {
        kind: mean(max(c.score for c in search(kind, region, config, seed, 120)) for seed in range(5))
        for kind in (EvolutionProposer, RandomProposer)
    }
    assert best[EvolutionProposer] > best[RandomProposer]
