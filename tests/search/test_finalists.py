"""Finalists: which candidates are trained, and what their training decides."""

from __future__ import annotations

import dataclasses
import json
from random import Random

import pytest

from reid.errors import UserError
from search.config import FinalistsConfig, SearchConfig
from search.costs import CostTable
from search.finalists import POOL, Finalist, choose_finalists, judged
from search.history import Candidate
from search.limits import Limits
from supernet.files import load_arch, load_space
from supernet.space import decode
from supernet.space.genome import encode, sample
from tests.search.searching import search_in

SPACE = load_space("tiny")
TABLE = CostTable()
CONFIG = SearchConfig(trials=16, population=8, sample_size=3, finalists=FinalistsConfig(count=4))


def _candidates(count: int, seed: int = 0) -> list[Candidate]:
    random = Random(seed)
    candidates = []
    for trial in range(count):
        genome = sample(SPACE, random)
        score = None if trial % 7 == 3 else random.random()
        candidates.append(Candidate(trial, "random", trial, 1, score, None, 0.0, genome, decode(SPACE, genome)))
    return candidates


def _differ(first: Candidate, second: Candidate) -> int:
    """Choices in which two archs differ, by hand: what a shallow stage leaves out is one option of its own."""
    rows = []
    for candidate in (first, second):
        genome = dict(encode(SPACE, candidate.arch))
        for number, stage in enumerate(candidate.arch.stages, start=1):
            for name in list(genome):
                block = name.split(".")[1] if name.startswith(f"s{number}.b") else ""
                if block and int(block[1:]) > len(stage.blocks):
                    genome[name] = "none"
        rows.append(genome)
    return sum(rows[0][name] != rows[1][name] for name in rows[0])


@pytest.mark.parametrize("seed", range(5))
def test_each_finalist_is_the_one_most_unlike_those_before(seed):
    candidates, count = _candidates(60, seed), 5
    ranked = sorted((each for each in candidates if each.score is not None), key=lambda each: -each.score)
    pool, taken = ranked[: POOL * count], [ranked[0]]
    while len(taken) < count:
        rest = [each for each in pool if each not in taken]
        taken.append(max(rest, key=lambda each: min(_differ(each, other) for other in taken)))
    chosen = choose_finalists(SPACE, candidates, count)
    assert chosen == tuple(sorted(taken, key=lambda each: -each.score))
    assert chosen[0] is ranked[0]


def test_few_candidates_are_all_finalists():
    candidates = _candidates(4)  # one of them has no score
    chosen = choose_finalists(SPACE, candidates, 6)
    assert [each.score for each in chosen] == sorted((each.score for each in candidates if each.score), reverse=True)
    assert choose_finalists(SPACE, candidates, 0) == ()


def test_the_judges_order_counts_and_a_finalist_without_a_score_is_out():
    first, second, third = _candidates(3)
    finalists = judged([first, second, third], lambda candidates: [0.2, float("nan"), 0.4])
    assert finalists == (Finalist(third, 0.4), Finalist(first, 0.2))
    with pytest.raises(UserError, match="none of 2 finalists got a score"):
        judged([first, second], lambda candidates: [float("nan")] * 2)


def test_of_finalists_that_end_alike_the_cheaper_comes_first_and_then_the_earlier():
    first, second, third, fourth = _candidates(5)[:3] + _candidates(5)[4:]
    dear, cheap = (dataclasses.replace(each, flops=flops) for each, flops in ((first, 9), (fourth, 3)))
    same, late = (dataclasses.replace(each, flops=5) for each in (second, third))
    finalists = judged([late, dear, same, cheap], lambda candidates: [0.3] * 4)
    assert [each.candidate for each in finalists] == [cheap, same, late, dear]


@pytest.mark.parametrize("better", [0, 1])
def test_of_equally_different_candidates_the_better_is_a_finalist(better):
    """Two archs that differ from the best in one choice each."""
    genome = {name: options[0] for name, options in SPACE.dimensions().items()}
    others = [{**genome, name: SPACE.dimensions()[name][1]} for name in ("stem", "last_width")]
    scores = [0.9, 0.5 + 0.1 * (better == 0), 0.5 + 0.1 * (better == 1), 0.1, 0.0]
    archs = [decode(SPACE, each) for each in (genome, *others, genome, genome)]
    candidates = [
        Candidate(trial, "random", 1, 1, score, None, 0.0, genome, arch)
        for trial, (score, arch) in enumerate(zip(scores, archs, strict=True))
    ]
    assert [each.trial for each in choose_finalists(SPACE, candidates, 2)] == [0, 1 + better]


def _evaluate(arch) -> dict[str, float]:
    return {"default": TABLE.flops(arch) / 1e8, "rank1": 0.0}


def _cheapest_first(candidates) -> list[float]:
    return [1 / each.flops for each in candidates]


def _run(out, config=CONFIG, strategy="evolution", **rest):
    limits = Limits(flops=6_000_000)
    return search_in(out, _evaluate, SPACE, limits, config, strategy, table=TABLE, **rest)


def test_archs_are_chosen_by_what_finalists_score_after_training(tmp_path):
    result = _run(tmp_path / "run", judge=_cheapest_first)
    chosen = choose_finalists(SPACE, result.candidates, 4)
    expected = sorted(chosen, key=lambda each: each.flops)
    assert [each.candidate for each in result.finalists] == expected
    assert list(result.best) == expected[:2] and result.best[0].score < max(each.score for each in result.candidates)
    for path, candidate in zip(result.archs, expected, strict=False):
        named = load_arch(path)
        assert named.arch == candidate.arch and named.origin["trained_score"] == 1 / candidate.flops
    told = json.loads((tmp_path / "run/search.json").read_text())["finalists"]
    assert (told["start"], told["epochs"]) == ("inherited", 5)
    assert [row["trial"] for row in told["best_first"]] == [each.trial for each in expected]


def test_a_finished_search_goes_on_with_finalists(tmp_path):
    plain = SearchConfig(**{**vars(CONFIG), "finalists": FinalistsConfig()})
    before = _run(tmp_path / "run", plain, judge=_cheapest_first)
    assert not before.finalists and before.best[0].score == max(each.score for each in before.candidates)
    after = _run(tmp_path / "run", judge=_cheapest_first, resume=True)
    assert after.candidates == before.candidates and len(after.finalists) == 4 and after.best != before.best


def test_settings_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(UserError, match="finalists.count=4 is for evolution and random"):
        _run(tmp_path / "run", strategy="pareto", judge=_cheapest_first)
    with pytest.raises(ValueError, match="finalists.count 1 must be at least top_k 2"):
        SearchConfig(finalists=FinalistsConfig(count=1))
