"""Which stand-alone trainings are still to be made, and what those lack that were killed at their very end."""

from __future__ import annotations

from pathlib import Path

import pytest

import tools.jobs.training.finished
from reid.files import write_text
from supernet.catalog import Backbone
from tools.jobs.proofs.stand_alone import Training, missing


@pytest.fixture
def trainings(tmp_path, monkeypatch) -> list[Training]:
    page = "write_training_report"
    monkeypatch.setattr(tools.jobs.training.finished, page, lambda run, *about: write_text(run / "report.html", ""))
    return [Training(name, Backbone("resnet18"), Path(name), 0, tmp_path / name) for name in "abcd"]


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
