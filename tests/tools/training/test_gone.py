"""Finished trainings of which files are gone: nothing is trained again unasked."""

from __future__ import annotations

import pytest
import torch

import tools.jobs.training.retrain
import tools.jobs.training.train_supernet
from reid.engine.runs.checkpoint import save_weights
from reid.errors import UserError
from reid.files import write_text
from supernet.catalog import build, spec_to_dict
from tools.jobs.training.finished import is_over
from tools.jobs.training.retrain import retrain
from tools.jobs.training.train_supernet import train_supernet
from tools.jobs.training.wanted import Retraining, network_to_train

WEIGHTS = {"retrain": "last.safetensors", "train_supernet": "supernet.safetensors"}


class _Trained(BaseException):
    pass


@pytest.fixture
def go_on(make_job, small_arch, tmp_path, monkeypatch):
    """Goes on with a run that was trained to its end and has these files with these bytes; scores are noted, and it
    raises ``_Trained`` where a training begins."""
    scored = []

    def began(*what, **rest):
        raise _Trained

    monkeypatch.setattr(tools.jobs.training.retrain, "score", lambda job, network, *rest: scored.append(network))
    monkeypatch.setattr(tools.jobs.training.retrain, "write_training_report", lambda *what: None)
    for job in (tools.jobs.training.retrain, tools.jobs.training.train_supernet):
        monkeypatch.setattr(job, "fit", began)

    def run(tool: str, **files: bytes):
        def call(resume: bool) -> None:
            job = make_job(tmp_path / "run", resume=resume)
            train_supernet(job) if tool == "train_supernet" else retrain(job, Retraining(str(small_arch), tmp_path))

        with pytest.raises(_Trained):
            call(resume=False)
        for name, content in files.items():
            (tmp_path / "run" / name.replace("_", ".")).write_bytes(content)
        before = _bytes(tmp_path)
        try:
            call(resume=True)
        finally:
            assert _bytes(tmp_path) == before
        return scored

    return run


def _bytes(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _files(*names: str) -> dict[str, bytes]:
    return {name.replace(".", "_"): b"made up" for name in ("report.html", *names)}


@pytest.mark.parametrize("tool", WEIGHTS)
def test_without_its_checkpoint_it_is_kept_as_it_is(go_on, tool, tmp_path, capsys):
    assert go_on(tool, **_files(WEIGHTS[tool], "score.json", "result.json")) == []
    told = "run is finished and its checkpoint.pt is gone: its weights are kept, and nothing is trained"
    assert capsys.readouterr().out.splitlines()[-1] == f"{tmp_path}/{told}"


@pytest.mark.parametrize("tool", WEIGHTS)
def test_without_its_weights_either_it_is_told(go_on, tool):
    told = f"run was trained to its end, but {WEIGHTS[tool]} and checkpoint.pt are gone; restore one of them, or remov"
    with pytest.raises(UserError, match=told):
        go_on(tool, **_files("result.json"))


@pytest.mark.parametrize("left", ["score.json", "result.json"])
def test_without_its_score_the_weights_are_scored_again(go_on, make_job, small_arch, tmp_path, left):
    spec, _ = network_to_train(make_job(tmp_path / "none"), Retraining(str(small_arch), tmp_path))
    network = build(spec)
    weights = save_weights(tmp_path / "w.safetensors", network, spec_to_dict(spec)).read_bytes()
    (scored,) = go_on("retrain", **_files(left), last_safetensors=weights)
    for own, kept in zip(scored.parameters(), network.parameters(), strict=True):
        assert torch.equal(own, kept)


def test_a_training_that_was_interrupted_goes_on(tmp_path):
    write_text(tmp_path / "report.html", "")
    assert not is_over(tmp_path, "weights")  # no run
    write_text(tmp_path / "config.yaml", "")
    with pytest.raises(UserError, match="weights and checkpoint.pt are gone"):
        is_over(tmp_path, "weights")
    write_text(tmp_path / "checkpoint.pt", "")
    assert not is_over(tmp_path, "weights")
    (tmp_path / "checkpoint.pt").unlink()
    (tmp_path / "report.html").unlink()
    write_text(tmp_path / "metrics.jsonl", '{"epoch": 1}\n')  # killed before its first checkpoint
    assert not is_over(tmp_path, "weights")
    write_text(tmp_path / "weights", "")
    assert is_over(tmp_path, "weights")
