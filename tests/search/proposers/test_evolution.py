"""Evolution: who is a parent, and that it is worth its name."""

from __future__ import annotations

from statistics import mean

from search.config import SearchConfig
from search.proposers.evolution import EvolutionProposer
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


def test_failed_candidates_are_no_parents(make_band, search):
    marks = iter(range(100))
    found = search(EvolutionProposer, make_band(1.0), PAIR, 1, 20, lambda arch: 1.0 if next(marks) == 0 else None)
    for child in found[2:]:
        assert sum(child.genome[name] != found[0].genome[name] for name in child.genome) == 1


def test_without_a_score_draws_go_on_at_random(make_band, search):
    found = search(EvolutionProposer, make_band(1.0), PAIR, 1, 20, lambda arch: None)
    assert {candidate.origin for candidate in found} == {"random"} and len(found) == 20


def test_evolution_beats_random_search(make_band, search):
    region, config = make_band(0.5), SearchConfig(population=20, sample_size=5)
    best = {
        kind: mean(max(c.score for c in search(kind, region, config, seed, 120)) for seed in range(5))
        for kind in (EvolutionProposer, RandomProposer)
    }
    assert best[EvolutionProposer] > best[RandomProposer]
