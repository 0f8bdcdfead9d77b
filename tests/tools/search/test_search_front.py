"""``tools/search.py --front``: a search over several costs as a user sees it."""

from __future__ import annotations

import json

import pytest

from reid.engine.machine.device import seeded
from reid.files import write_json
from search.front import pareto_front
from search.history import candidate_from_dict, read_candidates
from supernet.files import load_space
from supernet.supernet import Supernet
from supernet.trained.checkpoint import save_supernet

PARETO = ("--strategy", "pareto", "--front")


@pytest.fixture(scope="module")
def supernet_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("supernet") / "run"
    with seeded(3):
        save_supernet(run / "supernet.safetensors", Supernet(load_space("tiny").at((64, 32))))
    diagnosis = {
        "trouble": "unfinished",
        "severity": 2,
        "since": 9,
        "until": None,
        "evidence": "accuracy 3 %",
        "cure": "x",
    }
    gone = diagnosis | {"trouble": "collapse", "until": 8}
    write_json(run / "doctor.json", [diagnosis, gone])
    return run


def test_the_front_is_told_with_all_its_costs(call, refused, supernet_run, tmp_path):
    out = tmp_path / "search"
    search = ("search", "--supernet", supernet_run, "--out", out)
    done = call(*search, *PARETO, "parameters", "flops")
    assert done.code == 0, done.err
    front = tuple(map(candidate_from_dict, json.loads((out / "front.json").read_text())))
    assert front == pareto_front(read_candidates(out / "candidates.jsonl"), ("flops", "parameters"))
    assert "  warning   the supernet's training: unfinished: accuracy 3 %; try: x\n" in done.out
    assert "collapse" not in done.out, "what has gone before the supernet's end is no reason to worry"
    assert "pareto by NNI over score, FLOPs and parameters, 6 candidates" in done.out
    page = (out / "report.html").read_text()
    assert f"front of {len(front)} over score, FLOPs and parameters:" in done.out
    for each in front:
        flops, size = f"{each.flops / 1e6:.1f}M", f"{each.parameters / 1e6:.3f}"
        score = f"{100 * each.score:.1f}"
        assert f"trial {each.trial:<6} {flops} FLOPs, {size}M parameters, held-out mAP {score} %" in done.out
        assert f"<td>{each.trial}</td><td>{score}</td><td>{flops}</td><td>{size}</td>" in page
    assert page.count("<h2>The front</h2>") == 1 and "held-out mAP against FLOPs and parameters" in page
    refused(call(*search, "--strategy", "pareto", "--resume"), r'another front \(\["flops", "parameters"\], now null\)')


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--front", "flops", "parameters"),
            "search.front=flops,parameters is for pareto, not evolution: leave it out",
        ),
        (
            (*PARETO, "flops", "latency"),
            "front flops,latency: latency needs a target to be measured on; set target, for example onnx-cpu-1t",
        ),
        ((*PARETO, "flops", "flops"), "front flops,flops: a cost is named twice; name each once"),
        ((*PARETO[:2], "--set", "search.front=[]"), "front: .*a list of at least 1 value"),
        ((*PARETO[:2], "--set", "search.front=[flops, energy]"), "front.1: .*'flops', 'latency' or 'parameters'"),
    ],
)
def test_costs_that_cannot_be_are_refused(call, refused, tmp_path, options, message):
    out = tmp_path / "out"
    refused(call("search", "--supernet", tmp_path / "none", "--out", out, *options), message)
    assert not out.exists()


def test_the_pipeline_refuses_costs_before_it_trains_anything(call, refused, tmp_path):
    """Its search is for one arch."""
    done = call("pipeline", "--out", tmp_path / "out", "--set", "search.front=[flops]")
    refused(done, "search.front=flops is for pareto, not evolution")
    assert not (tmp_path / "out").exists()
