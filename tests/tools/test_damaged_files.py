"""Files of runs that parse but hold something else, or do not parse: one line with the file and a cure."""

from __future__ import annotations

import json

import pytest

from evaluation.comparison.row import ResultRow, write_result
from reid.errors import UserError
from reid.files import write_json
from search.history import read_candidates
from tools.jobs.proofs.stand_alone import Training, _saved

OTHER = {"list": b"[1, 2]", "words": b'"words"', "nothing": b"null", "no UTF-8": b"\xff\xfe\x00{", "cut": b'{"a": '}
HOLLOW = {"empty": b"{}", "of lists": b'{"finished": true, "best": [1], "settings": [], "run_origin": 3}'}
ROW = ResultRow("resnet18", "baseline", 0.5, 0.7, 10**8, 10**7, 1e4, 2, 0, (64, 32), "persons", "runs/x")

other = pytest.mark.parametrize("content", OTHER.values(), ids=OTHER)
hollow = pytest.mark.parametrize("content", [*OTHER.values(), *HOLLOW.values()], ids=[*OTHER, *HOLLOW])


@pytest.fixture
def run(tmp_path):
    write_result(tmp_path / "run", ROW)
    return tmp_path / "run"


@hollow
@pytest.mark.parametrize("name", ["result.json", "score.json"])
def test_compare(call, run, refused, name, content):
    (run / name).write_bytes(content)
    done = call("compare", run, "--no-latency", "--out", run.parent / "out", tiny=False)
    if name == "score.json" and content in HOLLOW.values():
        assert done.code == 0  # the command that made the run is not told then
    else:
        refused(done, f"file .*{name}|{name}: .*remove it and .*--resume$")


def test_compare_with_a_config_that_is_no_text(call, run, refused):
    (run / "config.yaml").write_bytes(b"\xff\xfe\x00")
    refused(call("compare", run, "--no-latency", "--out", run.parent / "out", tiny=False), "file .*config.yaml")


def test_compare_with_a_search_that_is_none(call, run, refused):
    done = call("compare", run, "--search", run, "--out", run.parent / "out", tiny=False)
    refused(done, "--search .*: there is no search in it; name the folder of a search, or leave it out$")


@hollow
def test_compare_with_a_search(call, run, refused, content):
    (run / "search.json").write_bytes(content)
    done = call("compare", run, "--no-latency", "--search", run, "--out", run.parent / "out", tiny=False)
    if content == HOLLOW["empty"]:
        assert done.code == 0  # a search that is not finished
    else:
        refused(done, "file .*search.json .*restore it, or remove the search's folder and search again")


@hollow
@pytest.mark.parametrize("option", [("--write", 0), ("--explain",)], ids=["write", "explain"])
def test_search(call, tmp_path, refused, option, content):
    (tmp_path / "search.json").write_bytes(content)
    refused(call("search", "--out", tmp_path, *option), "search.json|is not finished")
    assert [path.name for path in tmp_path.iterdir()] == ["search.json"]


@other
def test_log_of_a_search(call, tmp_path, refused, content):
    space = {"finished": True, "settings": {"space": {}}}
    write_json(tmp_path / "search.json", space)
    (tmp_path / "candidates.jsonl").write_bytes(content + b"\n")
    with pytest.raises(UserError, match="line 1 is damaged"):
        read_candidates(tmp_path / "candidates.jsonl")


@hollow
def test_gain(call, tmp_path, refused, content):
    (tmp_path / "search.json").write_bytes(content)
    done = call("gain", "--search", tmp_path, "--out", tmp_path / "out")
    refused(done, "file .*search.json .*search again|no finished search in")
    assert not (tmp_path / "out").exists()


RANKINGS = {
    "archs are numbers": {"dataset": "synthetic", "archs": [1]},
    "an arch is a list": {"dataset": "synthetic", "archs": [{"name": "a", "arch": [3]}]},
    "digests are a list": {"dataset": "synthetic", "supernet_sha256": [3]},
}


@pytest.mark.parametrize(
    "content", [*OTHER.values(), *(json.dumps(each).encode() for each in RANKINGS.values())], ids=[*OTHER, *RANKINGS]
)
def test_rank_that_learns(call, tmp_path, supernet_run, refused, content):
    (tmp_path / "ranking.json").write_bytes(content)
    learn = ("--supernet", supernet_run, "--learn-from", tmp_path, "--n", 6, "--no-train")
    refused(call("rank", *learn, "--out", tmp_path / "out"), "ranking.json")
    assert not (tmp_path / "out").exists()


@other
def test_retrain_goes_on_with_no_configuration_that_is_damaged(call, tmp_path, refused, content):
    (tmp_path / "config.yaml").write_bytes(content)
    done = call("retrain", "--arch", "osnet_x0_25", "--resume", "--out", tmp_path)
    refused(done, "file .*config.yaml .*; restore it, or train into another folder")
    assert (tmp_path / "config.yaml").read_bytes() == content


@pytest.mark.parametrize("content", [*OTHER.values(), b"{network: words, data: {}, recipe: {}}"])
def test_stand_alone_training(tmp_path, content):
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(UserError, match="config.yaml .*--alone"):
        _saved(Training("a", None, tmp_path, 0, tmp_path).run, {})


@pytest.mark.slow
def test_a_damaged_result_is_made_again_as_its_cure_says(call, tmp_path, refused):
    """The cure is tried: what was trained is kept, only the score is made anew."""
    train = ("retrain", "--arch", "osnet_x0_25", "--out", tmp_path / "run")
    assert call(*train).code == 0
    before = json.loads((tmp_path / "run" / "result.json").read_text())
    weights = (tmp_path / "run" / "last.safetensors").read_bytes()
    for name in ("result.json", "score.json"):
        (tmp_path / "run" / name).write_text("[]")
        done = call("compare", tmp_path / "run", "--no-latency", "--out", tmp_path / "out", tiny=False)
        refused(done, f"{name} .*remove it and .*--resume")
        for gone in {name, "result.json"}:
            (tmp_path / "run" / gone).unlink()
        assert call(*train, "--resume").code == 0
        after = json.loads((tmp_path / "run" / "result.json").read_text())
        assert after["mAP"] == before["mAP"] and (tmp_path / "run" / "last.safetensors").read_bytes() == weights

    evaluate = ("evaluate", tmp_path / "run", "--out", tmp_path / "score", "--calibrate", "none")
    assert call(*evaluate).code == 0
    (tmp_path / "score" / "result.json").write_text("{")
    done = call("compare", tmp_path / "score", "--no-latency", "--out", tmp_path / "out", tiny=False)
    refused(done, "result.json is not valid JSON .*remove it and .*--resume")
    (tmp_path / "score" / "result.json").unlink()
    assert call(*evaluate, "--resume").code == 0
    assert json.loads((tmp_path / "score" / "result.json").read_text())["mAP"] == before["mAP"]
