"""The candidates' log: reading gives what was written, whatever a kill leaves behind."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from reid.errors import UserError
from search.history import Candidate, append_candidate, best_of, read_candidates, recover_candidates
from supernet.files import load_space
from supernet.space import decode
from supernet.space.genome import sample


@pytest.fixture
def candidates():
    space, random = load_space("tiny"), Random(0)
    made = []
    for trial in range(4):
        genome = sample(space, random)
        score = None if trial == 2 else random.random()
        made.append(Candidate(trial, "random", 10**9 + trial, 7, score, score, 0.1, genome, decode(space, genome)))
    return made


def test_log_reads_back_equal(tmp_path, candidates):
    path = tmp_path / "candidates.jsonl"
    for candidate in candidates:
        append_candidate(path, candidate)
    assert read_candidates(path) == candidates
    assert read_candidates(tmp_path / "none.jsonl") == recover_candidates(tmp_path / "none.jsonl") == []


def test_line_that_was_cut_short_is_dropped_wherever_the_cut_is(tmp_path, candidates):
    path = tmp_path / "candidates.jsonl"
    for candidate in candidates:
        append_candidate(path, candidate)
    whole = path.read_bytes()
    start = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(start, len(whole), 97):
        path.write_bytes(whole[:cut])
        assert read_candidates(path) == candidates[:3]
        assert path.read_bytes() == whole[:cut]  # a reader leaves alone what a search may be writing
        assert recover_candidates(path) == candidates[:3]
        append_candidate(path, candidates[3])
        assert path.read_bytes() == whole


@pytest.mark.parametrize("damage", ["not json\n", '{"trial": 1}\n', "swap"])
def test_damage_in_the_middle_is_an_error(tmp_path, candidates, damage):
    path = tmp_path / "candidates.jsonl"
    for candidate in candidates:
        append_candidate(path, candidate)
    lines = path.read_text().splitlines(keepends=True)
    lines[1:3] = [lines[2], lines[1]] if damage == "swap" else [damage, lines[2]]
    path.write_text("".join(lines))
    with pytest.raises(UserError, match="line 2"):
        read_candidates(path)


def test_the_best_are_by_score_then_cost_then_trial(candidates):
    dear, failed = replace(candidates[0], score=0.5, flops=9, trial=0), replace(candidates[2], trial=1)
    late, early, low = (
        replace(dear, score=score, flops=7, trial=trial) for score, trial in ((0.5, 4), (0.5, 3), (0.1, 2))
    )
    assert best_of([dear, failed, low, late, early], 9) == (early, late, dear, low)
    assert best_of([dear, failed, low, late, early], 1) == (early,) and best_of([failed], 1) == ()
