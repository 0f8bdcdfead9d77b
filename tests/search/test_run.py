"""A whole search in a folder: its files, its limits, and going on after a kill."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

import search.run
from reid.errors import UserError
from reid.models.network import count_parameters
from search.config import FinalistsConfig, SearchConfig
from search.costs import CostTable, whole_network_flops
from search.folder import search_is_finished
from search.front import pareto_front
from search.history import read_candidates
from search.limits import Limits
from search.predictor import cross_validated_rank
from supernet.files import load_arch, load_space
from supernet.network import build_network
from supernet.space.genome import contains
from tests.search.searching import search_in

SPACE = load_space("tiny")
CONFIG = SearchConfig(trials=24, population=8, sample_size=3, generation=5)
LIMIT = 6_000_000
TABLE = CostTable()


def _evaluate(arch) -> dict[str, float]:
    score = sum(stage.width * block.kernel for stage in arch.stages for block in stage.blocks) / 10_000
    return {"default": score, "rank1": score / 2}


def test_a_search_without_a_score_says_why():
    with pytest.raises(UserError, match="no arch was found within the limits; lower search.min_flops_fraction"):
        search.run._check_scored([])
    failed = [SimpleNamespace(score=None)] * 2
    with pytest.raises(UserError, match="none of 2 candidates got a score; check that the supernet's training"):
        search.run._check_scored(failed)
    search.run._check_scored([*failed, SimpleNamespace(score=0.0)])


class _Killed(BaseException):
    pass


def _killed_at(trial: int):
    calls = iter(range(10**6))

    def evaluate(arch):
        if next(calls) == trial:
            raise _Killed
        return _evaluate(arch)

    return evaluate


def _run(out, evaluate=_evaluate, config=CONFIG, limit=LIMIT, strategy="evolution", **rest):
    limits = limit if isinstance(limit, Limits) else Limits(flops=limit)
    return search_in(out, evaluate, SPACE, limits, config, strategy, table=TABLE, **rest)


def _untimed(candidates):
    return [replace(candidate, seconds=0.0) for candidate in candidates]


def test_files_tell_what_was_found(tmp_path):
    result = _run(tmp_path / "run", origin={"commit": "abc", "supernet": "runs/s"})
    candidates = read_candidates(tmp_path / "run/candidates.jsonl")
    assert len(candidates) == 24 and tuple(candidates) == result.candidates
    assert result.front == pareto_front(candidates)
    front = json.loads((tmp_path / "run/front.json").read_text())
    assert [row["trial"] for row in front] == [candidate.trial for candidate in result.front]
    assert [path.name for path in result.archs] == ["MLR-6M-A.yaml", "MLR-6M-B.yaml"]

    ranked = sorted(candidates, key=lambda c: (-c.score, c.flops))
    for path, candidate in zip(result.archs, ranked, strict=False):
        named = load_arch(path)
        assert named.name == path.stem and named.arch == candidate.arch and contains(SPACE, named.arch)
        origin = named.origin
        assert origin["flops"] == whole_network_flops(named.arch) <= LIMIT
        assert origin["conv_linear_macs"] < origin["flops"] < origin["flops_mlr"]
        assert origin["parameters"] == count_parameters(build_network(named.arch))
        assert (origin["score"], origin["rank1"]) == (candidate.score, candidate.score / 2)
        known = {"space": "tiny", "strategy": "evolution", "seed": 0, "limit_flops": LIMIT}
        given = {"commit": "abc", "supernet": "runs/s"}
        assert {**known, **given, "trial": candidate.trial}.items() <= origin.items()
    summary = json.loads((tmp_path / "run/search.json").read_text())
    assert summary["finished"] and summary["candidates"] == 24 and summary["failed"] == 0
    assert summary["candidates_per_second"] == pytest.approx(24 / result.speed.seconds, rel=1e-3)
    assert [row["name"] for row in summary["best"]] == ["MLR-6M-A", "MLR-6M-B"]


@pytest.mark.parametrize("strategy", ["evolution", "random", "pareto"])
@pytest.mark.parametrize("killed", [0, 5, 17, 23])
def test_resumed_search_equals_an_unbroken_one(tmp_path, strategy, killed):
    unbroken = _run(tmp_path / "a", strategy=strategy, seed=4)
    with pytest.raises(_Killed):
        _run(tmp_path / "b", _killed_at(killed), strategy=strategy, seed=4)
    assert len(read_candidates(tmp_path / "b/candidates.jsonl")) == killed
    with (tmp_path / "b/candidates.jsonl").open("a") as log:
        log.write('{"trial": ' + str(killed))  # a kill in the middle of a line
    resumed = _run(tmp_path / "b", strategy=strategy, seed=4, resume=True)
    assert _untimed(resumed.candidates) == _untimed(unbroken.candidates)
    for name in ("archs/MLR-6M-A.yaml", "archs/MLR-6M-B.yaml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_resume_with_more_trials_goes_on(tmp_path):
    whole = _run(tmp_path / "a", config=replace(CONFIG, trials=30))
    _run(tmp_path / "b")
    longer = _run(tmp_path / "b", config=replace(CONFIG, trials=30), resume=True)
    assert _untimed(longer.candidates) == _untimed(whole.candidates)


def test_resume_with_smaller_batches_goes_on(tmp_path):
    """Where memory ran out, which is what the tool says then; how an arch scores is the same."""
    unbroken = _run(tmp_path / "a")
    with pytest.raises(_Killed):
        _run(tmp_path / "b", _killed_at(17))
    resumed = _run(tmp_path / "b", config=replace(CONFIG, eval_batch_size=32), resume=True)
    assert _untimed(resumed.candidates) == _untimed(unbroken.candidates)


def test_resume_of_a_finished_search_evaluates_nothing(tmp_path):
    first = _run(tmp_path / "run")
    again = _run(tmp_path / "run", _killed_at(0), resume=True)
    assert again.candidates == first.candidates and again.best == first.best
    assert (again.speed.candidates, again.speed.per_second) == (0, 0.0)


def test_archs_of_a_former_name_go_even_if_the_next_call_is_killed(tmp_path):
    _run(tmp_path)
    mine = tmp_path / "archs" / "mine.yaml"
    mine.write_text("kept")
    renamed = replace(CONFIG, trials=30, name_prefix="OWN", top_k=2)
    with pytest.raises(_Killed):
        _run(tmp_path, _killed_at(1), renamed, resume=True)
    _run(tmp_path, config=renamed, resume=True)
    assert sorted(path.name for path in mine.parent.iterdir()) == ["OWN-6M-A.yaml", "OWN-6M-B.yaml", "mine.yaml"]


def test_archs_of_a_name_that_a_killed_call_wrote_go_too(tmp_path):
    def killed(result):
        raise _Killed

    few = replace(CONFIG, trials=3, population=3)
    _run(tmp_path, config=few)
    with pytest.raises(_Killed):
        _run(tmp_path, config=replace(few, name_prefix="OWN"), resume=True, report=killed)
    _run(tmp_path, config=replace(few, name_prefix="LAST"), resume=True)
    assert sorted(path.name for path in (tmp_path / "archs").iterdir()) == ["LAST-6M-A.yaml", "LAST-6M-B.yaml"]


def test_resume_where_nothing_was_begun_begins(tmp_path):
    few = replace(CONFIG, trials=3, population=3)
    first, second = (_run(tmp_path / name, config=few, resume=name == "b") for name in "ab")
    assert _untimed(first.candidates) == _untimed(second.candidates)


def test_a_search_is_finished_when_its_page_is_there(tmp_path):
    def killed(result):
        assert result.archs[0].is_file()
        raise _Killed

    with pytest.raises(_Killed):
        _run(tmp_path, report=killed)
    assert not json.loads((tmp_path / "search.json").read_text())["finished"] and not search_is_finished(tmp_path)
    told = []
    result = _run(tmp_path, resume=True, report=told.append)
    assert told == [result] and search_is_finished(tmp_path)
    result.archs[-1].unlink()
    assert not search_is_finished(tmp_path)
    _run(tmp_path, resume=True)
    assert search_is_finished(tmp_path) and not search_is_finished(tmp_path / "none")


def test_speed_is_of_this_call_alone(tmp_path):
    def slow(arch):
        time.sleep(0.005)
        return _evaluate(arch)

    with pytest.raises(_Killed):
        _run(tmp_path / "run", _killed_at(20))
    start = time.perf_counter()
    speed = _run(tmp_path / "run", slow, resume=True).speed
    assert speed.candidates == 4
    assert 4 * 0.005 <= speed.seconds <= time.perf_counter() - start
    assert speed.per_second == 4 / speed.seconds


def test_arch_files_are_of_the_search_as_it_stands(tmp_path):
    first = _run(tmp_path / "run", config=replace(CONFIG, top_k=4))
    assert [path.stem for path in first.archs] == [f"MLR-6M-{letter}" for letter in "ABCD"]
    other = tmp_path / "run/archs/MLR-6M-T3.yaml"  # tools/search.py --write
    other.write_bytes(first.archs[3].read_bytes())
    result = _run(tmp_path / "run", config=replace(CONFIG, top_k=2, trials=30), resume=True)
    assert sorted((tmp_path / "run/archs").iterdir()) == sorted([*result.archs, other])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"limit": 5_000_000}, "limit_flops"),
        ({"strategy": "random"}, "strategy"),
        ({"config": replace(CONFIG, mutation=0.2)}, "mutation"),
        ({"origin": {"supernet": "other"}}, r'origin.supernet \("one", now "other"\)'),
        ({"data": {"holdout_identities": 9}}, r"data.holdout_identities \(6, now 9\)"),
    ],
)
def test_resume_with_other_settings_is_refused(tmp_path, change, named):
    same = {"data": {"holdout_identities": 6}}
    _run(tmp_path / "run", origin={"supernet": "one", "commit": "x"}, **same)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=f"another {named}"):
        _run(tmp_path / "run", **{"origin": {"supernet": "one", "commit": "y"}, **same, **change}, resume=True)
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}


def test_resume_with_another_space_is_refused(tmp_path):
    _run(tmp_path / "run")
    with pytest.raises(UserError, match="another space"):
        other = replace(SPACE, stems=(16,))
        search_in(tmp_path / "run", _evaluate, other, Limits(flops=LIMIT), CONFIG, "evolution", resume=True)


def test_folder_with_a_search_is_not_overwritten(tmp_path):
    _run(tmp_path / "run")
    log = (tmp_path / "run/candidates.jsonl").read_bytes()
    with pytest.raises(UserError, match="--resume"):
        _run(tmp_path / "run", seed=9)
    assert (tmp_path / "run/candidates.jsonl").read_bytes() == log


def test_impossible_limit_and_unknown_strategy_write_nothing(tmp_path):
    with pytest.raises(UserError, match="tiny spans"):
        _run(tmp_path / "run", limit=1000)
    with pytest.raises(UserError, match="evolution"):
        _run(tmp_path / "run", strategy="evolutoin")
    with pytest.raises(UserError, match="finalists.count=3: run_search needs a judge"):
        _run(tmp_path / "run", config=replace(CONFIG, finalists=FinalistsConfig(3)))
    assert not (tmp_path / "run").exists()


def test_space_smaller_than_the_trials_ends_with_a_note(tmp_path):
    stage = replace(SPACE.stages[0], widths=(8,))
    small = replace(SPACE, stages=(stage,), last_widths=(128,))  # 2 stems: 2 archs
    result = search_in(tmp_path / "run", _evaluate, small, Limits(flops=LIMIT), CONFIG, "evolution")
    assert len(result.candidates) == len(result.archs) == 2
    assert any("no further arch" in note for note in result.notes)


def test_nan_score_is_a_failed_candidate(tmp_path):
    calls = iter(range(100))

    def evaluate(arch):
        return {"default": float("nan"), "rank1": float("nan")} if next(calls) % 3 == 0 else _evaluate(arch)

    result = _run(tmp_path / "run", evaluate)
    assert [c.trial for c in result.candidates if c.score is None] == list(range(0, 24, 3))
    assert "8 of 24 candidates got no score" in result.notes
    assert all(c.score is not None for c in (*result.best, *result.front))
    with pytest.raises(UserError, match="none of 24 candidates"):
        _run(tmp_path / "all", lambda arch: {"default": float("nan")})


def test_flops_may_be_counted_at_another_size(tmp_path):
    seen = []

    def evaluate(arch):
        seen.append(arch.input_size)
        return _evaluate(arch)

    config = replace(CONFIG, cost_input_size=(128, 64), trials=8)
    result = _run(tmp_path / "run", evaluate, config, limit=20_000_000)
    assert set(seen) == {SPACE.input_size}
    assert all(c.arch.input_size == (128, 64) and c.flops <= 20_000_000 for c in result.candidates)
    assert load_arch(result.archs[0]).origin["flops"] == whole_network_flops(result.best[0].arch)
    assert max(c.flops for c in result.candidates) > 10_000_000


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(parameters=150_000), "MLR-0.15Mp-A"),
        (Limits(latency_ms=9.5), "MLR-9.5ms-A"),
        (Limits(flops=LIMIT, latency_ms=9.5), "MLR-6M-9.5ms-A"),
    ],
)
def test_other_limits_hold_and_name_the_archs(tmp_path, limits, name):
    def latency(arch) -> float:
        return sum(len(stage.blocks) for stage in arch.stages) + arch.stem / 16

    timed = limits.latency_ms is not None
    measure = (lambda archs: [latency(arch) + 0.5 for arch in archs]) if timed else None
    given = {"latency": latency, "measure": measure} if timed else {}
    result = _run(tmp_path / "run", limit=limits, strategy="pareto", **given)
    assert result.archs[0].stem == name and load_arch(result.archs[0]).arch == result.best[0].arch
    for candidate in result.candidates:
        assert limits.met_by(candidate) and candidate.latency_ms == (latency(candidate.arch) if timed else None)
    assert result.costs == ("latency_ms" if timed else "flops",)
    row = json.loads((tmp_path / "run/search.json").read_text())["best"][0]
    if timed:
        assert row["measured_ms"] == row["latency_ms"] + 0.5 == result.measured_ms[0]
    assert read_candidates(tmp_path / "run/candidates.jsonl") == list(result.candidates)


def test_time_budget_stops_early_and_a_resumed_search_goes_on(tmp_path):
    whole = _run(tmp_path / "a")
    short = _run(tmp_path / "b", config=replace(CONFIG, trials=None, time=1e-9))
    assert _untimed(short.candidates) == _untimed(whole.candidates[: len(short.candidates)])
    assert len(short.candidates) == 1 and "--resume continues" in short.notes[0]
    assert _untimed(_run(tmp_path / "b", resume=True).candidates) == _untimed(whole.candidates)


@pytest.mark.parametrize("strategy", ["evolution", "pareto"])
def test_screened_search_is_resumed_alike_and_tells_its_predictor(tmp_path, strategy):
    config = replace(CONFIG, trials=32, screen=4, screen_after=16)
    whole = _run(tmp_path / "a", config=config, strategy=strategy)
    with pytest.raises(_Killed):
        _run(tmp_path / "b", _killed_at(27), config=config, strategy=strategy)
    resumed = _run(tmp_path / "b", config=config, strategy=strategy, resume=True)
    assert _untimed(resumed.candidates) == _untimed(whole.candidates)
    plain = _run(tmp_path / "c", config=replace(CONFIG, trials=32), strategy=strategy)
    same = [a.arch == b.arch for a, b in zip(whole.candidates, plain.candidates, strict=True)]
    assert all(same[:16]) and not all(same[16:])  # the predictor chooses from 16 scored ones on
    kept = json.loads((tmp_path / "a/search.json").read_text())["predictor"]
    assert kept == whole.predictor and -1 <= kept["kendall"] <= kept["spearman"] <= 1


def test_predictor_is_judged_by_the_scores_that_it_learns_from(tmp_path, monkeypatch):
    """All of a long search's would take minutes at its end: the time grows with the third power."""
    monkeypatch.setattr("search.run.RECENT", 25)
    result = _run(tmp_path / "run", config=replace(CONFIG, trials=32, screen=2, screen_after=16))
    spearman, kendall = cross_validated_rank(SPACE, result.candidates[-25:])
    assert result.predictor == {"spearman": round(spearman, 4), "kendall": round(kendall, 4)}


def test_screening_random_search_is_refused(tmp_path):
    with pytest.raises(UserError, match="screen=2 is for evolution and pareto"):
        _run(tmp_path / "run", config=replace(CONFIG, screen=2), strategy="random")
