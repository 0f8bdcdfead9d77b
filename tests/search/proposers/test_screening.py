"""Screening: when it begins, what it learns from, and which child goes on."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from search.config import SearchConfig
from search.predictor import fit_predictor
from search.proposers import screening
from search.proposers.evolution import EvolutionProposer
from search.proposers.pareto import ParetoProposer
from search.proposers.random import RandomProposer
from search.proposers.screening import Screen

CONFIG = SearchConfig(population=32, sample_size=4, generation=32, screen=5, screen_after=24)


@pytest.fixture(scope="module")
def region(make_band):
    return make_band(0.6)


@pytest.fixture(scope="module")
def found(region, search):
    return search(RandomProposer, region, CONFIG, 0, 32)


@pytest.mark.parametrize("kind", [EvolutionProposer, ParetoProposer])
def test_the_most_promising_child_goes_on(kind, region, found):
    """By the score that is expected; for a front by how far that is above the best that is known at its FLOPs."""
    proposer, places = kind(region, CONFIG, 0), set()
    proposer.observe(found)
    predictor = fit_predictor(region.space, found)
    for seed in range(4):
        children = proposer._draw(proposer._ways(32)[0], 32, Random(seed))
        assert len({child.arch for child in children}) == 5
        worth = predictor.predict([child.arch for child in children])
        if kind is ParetoProposer:
            lowest = min(each.score for each in found)
            worth = worth - [
                max((each.score for each in found if each.flops <= child.cost.flops), default=lowest)
                for child in children
            ]
        places.add(best := int(np.argmax(worth)))
        assert proposer._choose(children) is children[best]
    assert len(places) > 1  # not one place of the list alone


def test_it_begins_when_enough_candidates_have_a_score(region, found):
    screen = Screen(region.space, CONFIG)
    screen.observe([*found[:23], replace(found[23], score=None)])
    assert screen.wanted == 1
    screen.observe(found[23:24])
    assert screen.wanted == 5


def test_it_learns_from_the_last_candidates(region, found, monkeypatch):
    monkeypatch.setattr(screening, "RECENT", 20)
    screen = Screen(region.space, CONFIG)
    for start, known in ((0, 24), (24, 32)):
        screen.observe(found[start:known])
        expected = fit_predictor(region.space, found[known - 20 : known]).predict([each.arch for each in found])
        assert np.array_equal(screen.scores(found), expected)


def test_it_is_fitted_once_a_generation(region, found, monkeypatch):
    fits = []
    monkeypatch.setattr(screening, "fit_predictor", lambda *known: fits.append(known) or fit_predictor(*known))
    screen = Screen(region.space, CONFIG)
    for start, known in ((0, 24), (24, 32)):
        screen.observe(found[start:known])
        assert np.array_equal(screen.scores(found[:3]), screen.scores(found)[:3])
    assert [len(candidates) for _, candidates in fits] == [24, 32]
