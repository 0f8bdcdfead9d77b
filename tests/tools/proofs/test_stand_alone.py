"""Which stand-alone trainings are still to be made, and what those lack that were killed at their very end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import tools.jobs.training.finished
from reid.errors import UserError
from reid.files import write_text
from reid.losses.config import DistillationConfig
from supernet.catalog import Backbone, NetworkSpec
from tools.jobs.proofs.stand_alone import Training, check_trainings, missing
from tools.jobs.training.wanted import Retraining, training_config


@pytest.fixture
def trainings(tmp_path, monkeypatch) -> list[Training]:
    page = "write_training_report"
    monkeypatch.setattr(tools.jobs.training.finished, page, lambda run, *about: write_text(run / "report.html", ""))
    return [Training(name, Backbone("resnet18"), Path(name), 0, tmp_path / name) for name in "abcd"]


def _taught(job, teacher: Path):
    losses = job.experiment.retrain.losses
    taught = replace(losses, distillation=DistillationConfig(teacher=str(teacher), similarity=1.0))
    recipe = replace(job.experiment.retrain, losses=taught)
    return replace(job, experiment=replace(job.experiment, retrain=recipe))


def test_a_teacher_is_known_by_its_weights(trainings, make_job, tmp_path):
    """One that was trained again since is another; one that was moved is the same."""
    training = trainings[0]
    _finish(training)
    weights = write_text(tmp_path / "teacher" / "last.safetensors", "one")
    job = _taught(make_job(tmp_path / "out"), weights.parent)
    spec = NetworkSpec("resnet18", training.arch, (64, 32))
    what = Retraining("resnet18", tmp_path / "none")
    source = SimpleNamespace(dataset=SimpleNamespace(name="synthetic"))
    config = training_config(job, what, spec, source, None)
    write_text(training.run / "config.yaml", yaml.safe_dump(config))
    check_trainings([training], job, "synthetic")

    moved = write_text(tmp_path / "moved" / "last.safetensors", "one")
    check_trainings([training], _taught(job, moved.parent), "synthetic")
    write_text(moved, "two")
    write_text(weights, "two")
    message = "trained with other settings than it would be now: {} differs"
    with pytest.raises(UserError, match=message.format("teacher_sha256")):
        check_trainings([training], job, "synthetic")
    with pytest.raises(UserError, match=message.format("teacher_sha256|recipe.losses")):
        check_trainings([training], _taught(job, moved.parent), "synthetic")
    # One that was trained before it was kept does not say which it was.
    write_text(training.run / "config.yaml", yaml.safe_dump({**config, "teacher_sha256": None}))
    with pytest.raises(UserError):
        check_trainings([training], job, "synthetic")
    del config["teacher_sha256"]
    write_text(training.run / "config.yaml", yaml.safe_dump(config))
    check_trainings([training], job, "synthetic")


def _finish(training: Training, *less: str) -> None:
    files = {"config.yaml": "", "metrics.jsonl": '{"epoch": 1}\n', "result.json": "{}", "last.safetensors": ""}
    for name in files.keys() - set(less):
        write_text(training.run / name, files[name])


def test_each_is_looked_at_when_its_turn_comes(trainings):
    """Another process may put its trainings there too."""
    a, b, c, d = trainings
    _finish(b)
    words = []
    for told, training in missing(trainings):
        words.append(told)
        _finish(training)
        _finish(c)
    assert words == ["1 of 3: a, seed 0", "2 of 3: d, seed 0"] and d.finished


def test_one_that_was_killed_before_its_page_gets_it(trainings):
    a, b, c, d = trainings
    _finish(a)
    write_text(a.run / "report.html", "its own")
    _finish(b)
    _finish(c, "last.safetensors")
    _finish(d, "metrics.jsonl")  # of which nothing can be told
    assert [training for _, training in missing(trainings)] == [c] and c.begun
    pages = [training.run / "report.html" for training in trainings]
    assert [page.exists() for page in pages] == [True, True, False, False] and pages[0].read_text() == "its own"
