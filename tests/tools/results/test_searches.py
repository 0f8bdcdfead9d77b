"""Searches of a plan by any limits, and random archs within the limits of a search by latency."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import tools.jobs.latency.searched as tables
import tools.jobs.results.checks as checks
import tools.jobs.results.drawn as drawn
from reid.errors import UserError
from reid.files import read_yaml, write_json, write_text
from search.costs import CostTable
from search.latency import parse_target
from search.latency.machine import describe_machine
from search.latency.store import Store, store_path
from supernet.files import NamedArch, load_arch, load_space, save_arch
from supernet.space import decode
from tools.jobs.results.archs import network_name
from tools.jobs.results.commands import step_commands
from tools.jobs.results.plan.steps import plan_steps
from tools.jobs.results.settings import check_steps, keep_settings, step_settings
from tools.jobs.results.states import missing_packages
from tools.jobs.runs.provenance import sha256

TARGET = "torch-cpu-1t"
TABLE = CostTable()
"""For all tests: parts are counted once."""

STAGE = "widths: [8, 12, 16, 20, 24], depths: [1], kernels: [3], expands: [1, 2]"
SPACE = f"""
input_size: [32, 16]
stems: [8]
stages: [{{stride: 1, {STAGE}}}, {{stride: 2, {STAGE}}}]
last_widths: [16, 32, 48, 64]
"""


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """The file of a space of few parts."""
    path = tmp_path_factory.mktemp("spaces") / "few.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture
def search(space, monkeypatch):
    """A plan of one search with its limits."""
    monkeypatch.setattr(checks, "CostTable", lambda: TABLE)
    supernet = {"name": "S", "set": [f"space={space}", "input_size=null"]}

    def plan(**limits) -> dict:
        return {"target": TARGET, "supernets": [supernet], "searches": [{"name": "F", "supernet": "S", **limits}]}

    return plan


def _step(setup, name):
    return next(step for step in plan_steps(setup.plan) if step.name == name)


@pytest.mark.parametrize(
    ("limits", "options", "searched"),
    [
        ({"flops": "1M"}, "--flops 1M", {"flops": "1M", "latency": None, "target": None}),
        (
            {"latency": "5ms", "finalists": 3},
            f"--latency 5ms --target {TARGET} --finalists 3",
            {"flops": None, "latency": "5ms", "target": TARGET},
        ),
        (
            {"flops": "1M", "latency": 5, "params": "15K", "target": "torch-cpu-2t", "strategy": "random"},
            "--flops 1M --latency 5 --params 15K --target torch-cpu-2t",
            {"flops": "1M", "latency": 5, "parameters": "15K", "target": "torch-cpu-2t"},
        ),
    ],
)
def test_limits_are_those_of_the_tool(make_setup, search, limits, options, searched):
    setup = make_setup(**search(**limits))
    step = _step(setup, "search/F")
    checks.check_plan(setup, [step])
    ((*command,),) = step_commands(setup, step)
    given = command[command.index("--supernet") + 2 :]
    assert " ".join(given).startswith(f"{options} --strategy {limits.get('strategy', 'evolution')} ")
    settings = step_settings(setup, step)
    assert settings["search"].items() >= searched.items()
    assert settings["search"]["finalists"]["count"] == limits.get("finalists", 0)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"latency": "soon", "target": TARGET}, "search/F: search options: latency 'soon': give a positive number"),
        ({"latency": "5ms", "target": "abacus"}, "search/F: latency target 'abacus' is unknown"),
        ({"params": "few"}, "search/F: .*parameters 'few': give a positive number"),
        ({"params": "100"}, "search/F: parameter limit .* is below the smallest arch: space few spans"),
        ({"flops": "1M", "finalists": 1}, "search/F: search options: finalists.count 1 must be at least top_k 2"),
        ({"flops": "1M", "finalists": 2, "strategy": "pareto"}, "search/F: search.finalists.count=2 is for evolution"),
    ],
)
def test_refusals(make_setup, search, limits, message):
    setup = make_setup(**search(**limits))
    with pytest.raises(UserError, match=f"made-up.yaml: {message}") as told:
        checks.check_plan(setup, plan_steps(setup.plan))
    assert "\n" not in str(told.value)


def test_latency_of_nothing_and_limits_of_nothing_are_refused(make_setup, search):
    setup = make_setup(**{**search(latency="5ms"), "target": None})
    with pytest.raises(
        UserError, match=r"search/F: search options: latency 5ms needs a target to be measured on; set target"
    ):
        checks.check_plan(setup, plan_steps(setup.plan))
    with pytest.raises(UserError, match="searches: F: no limit is set; give flops, latency or params"):
        make_setup(**search())


def test_a_search_by_several_supernets(make_setup, search):
    plan = search(flops="1M", beside=["T"])
    plan["supernets"].append({**plan["supernets"][0], "name": "T", "seed": 1})
    setup = make_setup(**plan)
    step = _step(setup, "search/F")
    assert step.needs == ("supernet/S", "supernet/T")
    ((*command,),) = step_commands(setup, step)
    given = [value for name, value in itertools.pairwise(command) if name == "--supernet"]
    assert [Path(each).name for each in given] == ["S", "T"]
    alone = make_setup(**search(flops="1M"))
    settings = step_settings(alone, _step(alone, "search/F"))
    assert step_settings(setup, step) == settings | {"beside": ["supernet T"]}
    with pytest.raises(UserError, match="F: beside"):
        make_setup(**search(flops="1M", beside=["none"]))
    with pytest.raises(UserError, match="learn_from takes one supernet's scores into account; leave beside out"):
        make_setup(**search(flops="1M", beside=["S"], learn_from="R"))


def test_finished_searches_and_rankings_are_of_the_settings_that_they_depend_on(make_setup, search):
    """Finalists are trained by the recipe of networks; a ranking scores as searches do."""
    ranking, scored = {"name": "R", "supernet": "S", "n": 4}, "search.calibration_batches=3"
    for name, limits, change, told in (
        ("search/F", {"finalists": 3}, "retrain.epochs=5", "recipe.epochs: 14 then, 5 now"),
        ("search/F", {}, "retrain.epochs=5", None),
        ("ranking/R", {}, scored, "scoring.calibration_batches: 4 then, 3 now"),
    ):
        plan = {**search(flops="1M", **limits), "rankings": [ranking]}
        setup = make_setup(**plan)
        step = _step(setup, name)
        kept = keep_settings(setup, step)
        write_json(setup.places.run(step) / "search.json", {"finished": False})
        other = make_setup(**plan, set=[change])
        if told is None:
            check_steps(other, [_step(other, name)])
            continue
        with pytest.raises(UserError, match=f"{name} was run with other settings \\({told}\\)"):
            check_steps(other, [_step(other, name)])
        # One of a version that did not keep them is taken as it is.
        then = {key: value for key, value in read_yaml(kept).items() if key not in ("recipe", "scoring")}
        kept.write_text(yaml.safe_dump({**then, "recipe": read_yaml(kept)["recipe"]} if name == "ranking/R" else then))
        check_steps(other, [_step(other, name)])


def test_finished_searches_and_rankings_of_another_supernets_weights_are_refused(make_setup, search):
    plan = search(flops="1M", beside=["T"])
    plan["supernets"].append({**plan["supernets"][0], "name": "T", "seed": 1})
    setup = make_setup(**plan, rankings=[{"name": "R", "supernet": "T", "n": 4}])
    files = [write_text(setup.places.out / f"supernets/{name}/supernet.safetensors", name) for name in "ST"]
    digests = [sha256(file) for file in files]
    searched, ranked = (_step(setup, name) for name in ("search/F", "ranking/R"))
    for step in (searched, ranked):
        keep_settings(setup, step)
    run = setup.places.run(searched)
    write_text(run / "archs" / "best.yaml", "")
    for origin in ({}, {"supernet_sha256": digests}):  # at first it did not say
        write_json(run / "search.json", {"finished": True, "best": [{"file": "archs/best.yaml"}], "run_origin": origin})
        ranking = {"supernet_sha256": {"runs/T": digests[1]}} if origin else {}
        write_json(setup.places.run(ranked) / "ranking.json", ranking)
        check_steps(setup, [searched, ranked])
    write_text(files[1], "trained by another seed")
    with pytest.raises(UserError, match="search/F: .* is of other weights than supernet S and supernet T have now"):
        check_steps(setup, [searched])
    with pytest.raises(UserError, match="ranking/R: .* is of other weights than supernet T has now; remove it"):
        check_steps(setup, [ranked])
    files[1].unlink()  # carried away, to be searched elsewhere
    check_steps(setup, [searched, ranked])


def test_a_search_by_latency_needs_what_measures_it(make_setup, search, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name.startswith("onnx") else name)
    for target, missing in (("onnx-cpu-1t", "needs onnx and onnxruntime: run it elsewhere"), (TARGET, None)):
        setup = make_setup(**search(latency="5ms", target=target))
        assert missing_packages(setup, _step(setup, "search/F")) == missing
        setup = make_setup(**{**search(latency="5ms"), "target": None}, set=[f"search.target={target}"])  # the config's
        assert missing_packages(setup, _step(setup, "search/F")) == missing
    # By FLOPs it needs none, whatever the rows are measured on.
    setup = make_setup(**{**search(flops="1M"), "target": "onnx-cpu-1t"})
    assert missing_packages(setup, _step(setup, "search/F")) is None


def _latency(arch) -> float:
    """Not in step with FLOPs."""
    return TABLE.parameters(arch) / 1e5


@pytest.fixture
def searched(make_setup, search, space, tmp_path, monkeypatch):
    """A finished search by latency, whose best arch takes just what is allowed, and its table."""
    space = load_space(str(space))
    found = decode(space, {name: values[len(values) // 2] for name, values in space.dimensions().items()})
    rows = [{"name": "rival", "random": {"search": "F", "count": 3}}]
    setup = make_setup(**search(latency=_latency(found)), rows=rows)
    path = store_path(tmp_path, space, TARGET)
    Store(path, {"target": TARGET, "machine": describe_machine(parse_target(TARGET))}).save({})
    monkeypatch.setattr(drawn, "CostTable", lambda: TABLE)
    monkeypatch.setattr(tables, "latency_folder", lambda: tmp_path)
    monkeypatch.setattr(tables, "build_table", lambda *arguments, **options: SimpleNamespace(latency=_latency))
    run = setup.places.run(_step(setup, "search/F"))
    save_arch(run / "archs" / "best.yaml", NamedArch("best", found, {}))
    origin = {"latency_table_sha256": sha256(path)}
    write_json(run / "search.json", {"finished": True, "best": [{"file": "archs/best.yaml"}], "run_origin": origin})
    return SimpleNamespace(setup=setup, found=found, table=path)


def _file(searched, number: int) -> Path:
    return Path(network_name(searched.setup, _step(searched.setup, f"row/rival {number}/0")))


def test_random_archs_keep_to_the_searchs_latency(searched):
    archs = []
    for number in (1, 2, 3):
        named = load_arch(_file(searched, number))
        assert named.origin["latency_ms"] == _latency(named.arch) <= _latency(searched.found)
        assert abs(TABLE.flops(named.arch) / TABLE.flops(searched.found) - 1) <= 0.05
        archs.append(named.arch)
    assert len({*archs, searched.found}) == 4


def test_what_was_drawn_stays_when_the_table_is_another_one(searched):
    before = load_arch(_file(searched, 1))
    searched.table.write_text(searched.table.read_text().replace("times", "Times"))
    assert load_arch(_file(searched, 1)) == before
    with pytest.raises(UserError, match="search F used a latency table that is no longer in .*; draw its random"):
        _file(searched, 2)


def test_random_archs_are_of_the_flops_that_the_found_one_has_at_its_own_size(make_setup, tmp_path, monkeypatch):
    monkeypatch.setattr(drawn, "CostTable", lambda: TABLE)
    several = tmp_path / "several.yaml"
    several.write_text(SPACE.replace("input_size: [32, 16]", "input_sizes: [[32, 16], [64, 32]]"))
    supernet = {"name": "S", "set": [f"space={several}", "input_size=null"]}
    searches, rows = [{"name": "F", "supernet": "S", "flops": "2M"}], [{"name": "rival", "random": {"search": "F"}}]
    setup = make_setup(supernets=[supernet], searches=searches, rows=rows)
    space = load_space(str(several))
    middle = {name: values[len(values) // 2] for name, values in space.dimensions().items()}
    found = decode(space, {**middle, "input_size": "32x16"})
    rivals = [drawn.draw(setup, step, found).arch for step in plan_steps(setup.plan) if step.kind == "row"]
    assert [abs(TABLE.flops(arch) / TABLE.flops(found) - 1) <= 0.05 for arch in rivals] == 3 * [True]
