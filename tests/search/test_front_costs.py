"""A whole search over several costs: what it writes, what it may be resumed with, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reid.errors import UserError
from reid.models.network import count_parameters
from search.config import SearchConfig
from search.costs import CostTable
from search.front import knees, pareto_front
from search.history import candidate_from_dict
from search.limits import Limits
from supernet.files import load_arch, load_space
from supernet.network import build_network
from tests.search.searching import search_in

SPACE = load_space("tiny")
CONFIG = SearchConfig(trials=20, population=8, sample_size=3, generation=5, top_k=3, target="onnx-cpu-1t")
THREE = replace(CONFIG, front=("parameters", "flops", "latency"))
FIELDS = ("flops", "latency_ms", "parameters")
TABLE = CostTable()


def _latency(arch) -> float:
    return sum(len(stage.blocks) + 10 / stage.width for stage in arch.stages)


def _evaluate(arch) -> dict[str, float]:
    score = sum(stage.width * block.kernel for stage in arch.stages for block in stage.blocks) / 10_000
    return {"default": score, "rank1": score / 2}


def _run(out, config=THREE, strategy="pareto", evaluate=_evaluate, **rest):
    given = {"table": TABLE, "latency": _latency, **rest}
    return search_in(out, evaluate, SPACE, Limits(flops=6_000_000), config, strategy, **given)


def _untimed(candidates):
    return [replace(candidate, seconds=0.0) for candidate in candidates]


def test_files_tell_the_front_over_all_costs(tmp_path):
    result = _run(tmp_path)
    assert result.costs == FIELDS and result.front == pareto_front(result.candidates, FIELDS)
    assert len(result.front) > max(len(pareto_front(result.candidates, (cost,))) for cost in FIELDS)
    rows = json.loads((tmp_path / "front.json").read_text())
    assert tuple(map(candidate_from_dict, rows)) == result.front
    for each in result.front:
        assert each.parameters == count_parameters(build_network(each.arch)) and each.latency_ms == _latency(each.arch)
    assert result.best == knees(result.front, 3, FIELDS) and len(result.archs) == 3
    summary = json.loads((tmp_path / "search.json").read_text())
    assert summary["settings"]["front"] == ["flops", "latency", "parameters"]
    for path, each, row in zip(result.archs, result.best, summary["best"], strict=True):
        for facts in (load_arch(path).origin, row):
            assert {name: facts[name] for name in FIELDS} == {name: getattr(each, name) for name in FIELDS}


def test_a_killed_search_goes_on_as_if_it_had_not_been(tmp_path):
    whole = _run(tmp_path / "a")
    _run(tmp_path / "b", replace(THREE, trials=13))
    resumed = _run(tmp_path / "b", replace(THREE, front=("flops", "latency", "parameters")), resume=True)
    assert _untimed(resumed.candidates) == _untimed(whole.candidates) and resumed.archs[0].name == whole.archs[0].name
    with pytest.raises(UserError, match=r'another front \(\["flops", "latency", "parameters"\], now null\)'):
        _run(tmp_path / "b", CONFIG, resume=True)
    with pytest.raises(UserError, match=r'another front \(.*, now \["flops"\]\)'):
        _run(tmp_path / "b", replace(THREE, front=("flops",)), resume=True)


def test_a_search_by_default_is_one_that_was_begun_before_there_was_a_choice(tmp_path):
    config = replace(CONFIG, trials=6)
    result = _run(tmp_path, config)
    assert "front" not in json.loads((tmp_path / "search.json").read_text())["settings"]
    assert result.costs == ("latency_ms",)
    again = _run(tmp_path, replace(config, front=("latency",)), resume=True)
    assert again.candidates == result.candidates
    with pytest.raises(UserError, match=r'another front \(null, now \["flops"\]\)'):
        _run(tmp_path, replace(config, front=("flops",)), resume=True)


@pytest.mark.parametrize("strategy", ["evolution", "random"])
def test_other_strategies_have_no_front_to_choose_costs_for(tmp_path, strategy):
    with pytest.raises(UserError, match=f"search.front=parameters,flops,latency is for pareto, not {strategy}"):
        _run(tmp_path / "run", strategy=strategy)
    assert not (tmp_path / "run").exists()
