"""Figures are of the network, and scores of the weights, that a row has now, and not of those that it had."""

from __future__ import annotations

import json
import os

import pytest

import tools.jobs.results.latency as latency
from reid.errors import UserError
from reid.files import write_json
from search.costs import network_counts
from search.latency import Timing
from supernet.catalog import NetworkSpec, build
from supernet.files import NamedArch, arch_from_rows, save_arch
from tools.jobs.results.made_of import spec_of
from tools.jobs.results.plan.steps import plan_steps
from tools.jobs.results.settings import check_steps
from tools.jobs.results.states import is_done, latencies
from tools.jobs.results.written.figures import read_figures
from tools.jobs.results.written.publish import write_results

ARCH = arch_from_rows([[1, 8, 1, 1]], input_size=(64, 32), stem=8, last_width=16)
OTHER = arch_from_rows([[1, 8, 1, 1], [6, 16, 1, 2]], input_size=(64, 32), stem=8, last_width=32)
ROW = "row/X/0"


@pytest.fixture
def setup(make_setup):
    return make_setup(rows=[{"name": "X", "network": "mobilenetv2"}], target="torch-cpu-1t")


@pytest.fixture
def measure(monkeypatch):
    """The latency step, in which every network takes 3 ms."""
    monkeypatch.setattr(latency, "measure_networks", lambda networks, *_, **__: [Timing(3.5, 3.0) for _ in networks])
    return latency.measure_latencies


def _flops(arch) -> int:
    return network_counts(build(NetworkSpec("tiny", arch, arch.input_size)).eval(), arch.input_size).flops


def _is_measured(setup) -> bool:
    return is_done(setup.places, plan_steps(setup.plan)[-1])


def _older_than_the_weights(path, run):
    past = (run / "last.safetensors").stat().st_mtime - 60
    os.utime(path, (past, past))


def test_another_network_is_counted_and_measured_anew(setup, finish, measure):
    finish(setup, ROW, 0.4)
    measure(setup)
    (row,) = read_figures(setup)
    assert row.latency_ms == 3.0 and _is_measured(setup)
    finish(setup, ROW, 0.5, arch=OTHER)
    (after,) = read_figures(setup)
    assert after.flops == _flops(OTHER) != row.flops and after.parameters != row.parameters
    assert after.latency_ms is None and not _is_measured(setup)
    write_results(setup, [after])
    assert json.loads((setup.places.out / "results.json").read_text())["latency"]["networks"] == {}
    measure(setup)
    assert read_figures(setup)[0].latency_ms == 3.0 and _is_measured(setup)


def test_what_was_kept_is_used_for_the_same_network(setup, finish, measure, monkeypatch):
    step = finish(setup, ROW, 0.4)
    measure(setup)
    before = read_figures(setup)
    _older_than_the_weights(setup.places.out / "latency" / "latency.json", setup.places.run(step))
    monkeypatch.setattr("tools.jobs.results.written.figures.network_counts", None)
    assert read_figures(setup) == before and _is_measured(setup)


def test_figures_that_name_no_network_count_unless_they_are_older_than_the_weights(setup, finish):
    step = finish(setup, ROW, 0.4)
    counts, run = setup.places.record(step) / "counts.json", setup.places.run(step)
    times = setup.places.out / "latency" / "latency.json"
    write_json(counts, {"asked": None, "size": [64, 32], "flops": 7, "flops_mlr": 8, "parameters": 9})
    networks = {"X": {"ms": 1.5, "input_size": [64, 32]}}
    write_json(times, {"target": "torch-cpu-1t", "machine": {}, "networks": networks})
    (row,) = read_figures(setup)
    assert (row.flops, row.latency_ms) == (7, 1.5) and _is_measured(setup)
    for path in (counts, times):
        _older_than_the_weights(path, run)
    (row,) = read_figures(setup)
    assert (row.flops, row.latency_ms) == (_flops(spec_of(run).backbone), None) and not _is_measured(setup)
    assert latencies(setup.places)["target"] == "torch-cpu-1t"


def test_a_flip_test_of_other_weights_is_made_again(setup, finish):
    step = finish(setup, ROW, 0.4)
    score = setup.places.flip(step) / "score.json"
    kept = json.loads(score.read_text())
    finish(setup, ROW, 0.5, arch=OTHER)
    assert is_done(setup.places, step)
    write_json(score, kept)
    assert not is_done(setup.places, step) and read_figures(setup) == ()
    write_json(score, {key: value for key, value in kept.items() if key != "about"})
    assert is_done(setup.places, step)  # it does not say: as it always was
    write_json(score, {**kept, "about": "lost"})
    with pytest.raises(UserError, match=r"score.json contains unexpected values .*; remove it and give the com"):
        is_done(setup.places, step)


def test_seeds_of_two_networks_are_no_row(make_setup, finish):
    setup = make_setup(rows=[{"name": "X", "network": "mobilenetv2", "seeds": [0, 1]}])
    finish(setup, "row/X/0", 0.4)
    finish(setup, "row/X/1", 0.5, arch=OTHER)
    with pytest.raises(UserError, match="X-s1 and .*X-s0 are of two networks; remove the one that is wrong"):
        read_figures(setup)


def test_a_found_row_of_an_arch_that_is_no_longer_found_is_refused_by_its_run(make_setup, finish):
    setup = make_setup(
        supernets=[{"name": "S"}],
        searches=[{"name": "F", "supernet": "S", "flops": "6M"}],
        rows=[{"name": "X", "found": {"search": "F"}, "seeds": [0, 1], "set": ["input_size=[64, 32]"]}],
    )
    search = setup.places.out / "searches" / "F"
    write_json(search / "search.json", {"finished": True, "best": [{"file": "archs/best.yaml"}]})
    save_arch(search / "archs" / "best.yaml", NamedArch("best", OTHER, {}))
    steps = [finish(setup, f"row/X/{seed}", 0.4, arch=OTHER) for seed in (0, 1)]
    check_steps(setup, steps)
    save_arch(search / "archs" / "best.yaml", NamedArch("best", ARCH, {}))
    named = r"archs/X.yaml is another network than X is in the plan now; remove .*X.yaml and .*X-s0 and .*X-s1$"
    with pytest.raises(UserError, match=named):
        check_steps(setup, steps)
    (setup.places.out / "archs" / "X.yaml").unlink()
    with pytest.raises(UserError, match=r"X-s0 is of another network than .*archs/X.yaml; remove .*X-s0$"):
        check_steps(setup, steps)
