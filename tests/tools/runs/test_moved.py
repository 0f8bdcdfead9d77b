"""Supernets, weights and teachers that were moved: a run goes on with them, as they are the same by their SHA-256."""

from __future__ import annotations

import pytest

from reid.engine.machine.distributed import SINGLE
from reid.errors import UserError
from reid.files import read_yaml
from tools.jobs.runs.ownership import training_in


def _config(place: str, teacher: object, **digests: str) -> dict:
    recipe = {"epochs": 3, "losses": {"distillation": {"teacher": teacher}}}
    return {"seed": 0, "recipe": recipe, "weights": f"supernet:{place}", **digests}


@pytest.fixture
def go_on(make_job, tmp_path, monkeypatch):
    monkeypatch.setattr("tools.jobs.runs.ownership.read_saved", read_yaml)  # of so short a recipe

    def begin(config: dict) -> None:
        with training_in(make_job(tmp_path / "run", resume=True), config, lambda: None, SINGLE):
            pass

    return begin


def test_a_run_goes_on_with_files_that_were_moved(go_on):
    same = {"supernet_sha256": "a", "teacher_sha256": "b, c"}
    go_on(_config("old", ("t", "u"), **same))
    go_on(_config("old", ("t", "u"), **same))
    go_on(_config("new", ("v", "w"), **same))
    with pytest.raises(UserError, match="weights: supernet:old then, supernet:new now|supernet_sha256: a then, x now"):
        go_on(_config("new", ("t", "u"), **same | {"supernet_sha256": "x"}))
    with pytest.raises(UserError, match="teacher_sha256: b, c then, x now"):
        go_on(_config("old", ("v", "w"), **same | {"teacher_sha256": "x"}))
    with pytest.raises(UserError, match="weights: supernet:old then, None now"):
        go_on({**_config("old", ("t", "u"), **same), "weights": None})


def test_a_file_of_weights_is_known_by_its_digest(go_on):
    def config(place: str, **digest: str) -> dict:
        return _config("", "t", **digest) | {"weights": place}

    go_on(config("old"))  # as runs were begun before it was kept
    go_on(config("old", weights_sha256="a"))
    with pytest.raises(UserError, match="weights: old then, new now"):
        go_on(config("new", weights_sha256="a"))


def test_one_that_was_moved_is_the_same_and_one_that_was_changed_is_not(go_on):
    def config(place: str, digest: str) -> dict:
        return _config("", "t", weights_sha256=digest) | {"weights": place}

    go_on(config("old", "a"))
    go_on(config("new", "a"))
    for place in ("old", "new"):
        with pytest.raises(UserError, match="weights_sha256: a then, b now|weights: old then, new now"):
            go_on(config(place, "b"))


def test_where_nothing_says_what_they_were_the_path_decides(go_on):
    go_on(_config("old", "t"))
    for config in (_config("new", "t", supernet_sha256="a"), _config("old", "u", teacher_sha256="b")):
        with pytest.raises(UserError, match="started with another configuration"):
            go_on(config)
