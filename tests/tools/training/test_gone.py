"""Finished trainings of which files are gone: nothing is trained again unasked."""

from __future__ import annotations

import pytest

import tools.jobs.training.retrain
import tools.jobs.training.train_supernet
from reid.errors import UserError
from reid.files import write_text
from tools.jobs.training.finished import is_over

ENDS = {"retrain": ("last.safetensors", "result.json"), "train_supernet": ("supernet.safetensors",)}


@pytest.fixture
def go_on(call, small_arch, tmp_path, monkeypatch):
    """Goes on with a run whose training is over, and which has these files; ``fit`` begins no training."""

    def killed(*what, **rest):
        raise KeyboardInterrupt

    for job in (tools.jobs.training.retrain, tools.jobs.training.train_supernet):
        monkeypatch.setattr(job, "fit", killed)

    def run(tool: str, *names: str):
        asked = (tool, *(("--arch", small_arch) if tool == "retrain" else ()), "--out", tmp_path / "run")
        assert call(*asked).code == 130
        for name in ("report.html", *names):
            write_text(tmp_path / "run" / name, name)
        before = _bytes(tmp_path)
        done = call(*asked, "--resume")
        assert _bytes(tmp_path) == before
        return done

    return run


def _bytes(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("tool", ENDS)
def test_without_its_checkpoint_it_is_kept_as_it_is(go_on, tool, tmp_path):
    done = go_on(tool, *ENDS[tool])
    # What follows, the command to compare it say, reads files that are made up here.
    told = f"{tmp_path}/run is finished and kept as it is; without its checkpoint.pt nothing goes on there"
    assert done.out.splitlines()[0] == told and done.code != 130


@pytest.mark.parametrize(
    ("tool", "gone"),
    [
        ("retrain", ("last.safetensors",)),
        ("retrain", ("result.json",)),
        ("retrain", ("last.safetensors", "result.json")),
        ("train_supernet", ("supernet.safetensors",)),
    ],
)
def test_without_what_it_ended_with_either_it_is_told(go_on, refused, tool, gone):
    told = " and ".join([*gone, "checkpoint.pt"])
    done = go_on(tool, *(name for name in ENDS[tool] if name not in gone))
    refused(done, f"run was trained to its end, and {told} are gone: put them back, or checkpoint.pt alone; or remove")


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
