"""A plan that is published again, after its rows were renamed or removed, or after a call that was killed."""

from __future__ import annotations

import json
import os

import pytest

import reid.files
from reid.errors import UserError
from reid.files import write_json
from tools.jobs.results.plan.steps import plan_steps
from tools.jobs.results.written.publish import publish

ROWS = [{"name": name, "network": "mobilenetv2"} for name in ("kept", "gone")]
ROWS += [{"name": "changed", "network": "mobilenetv2", "change": {"last_stride": 1}}]
ALL = {"logs/kept-s0.jsonl", "logs/gone-s0.jsonl", "results.json", "table.md", "front.png"}


@pytest.fixture
def world(make_setup, finish, tmp_path):
    """The setup of the first two rows, which are finished, and where they are to be published."""
    setup = make_setup(rows=ROWS[:2])
    for number, row in enumerate(ROWS[:2]):
        finish(setup, f"row/{row['name']}/0", 0.4 + 0.1 * number)
    return setup, tmp_path / "docs"


def _files(folder) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _told(folder) -> set[str]:
    return {*json.loads((folder / "results.json").read_text())["files"], "results.json"}


def test_twice_is_once(world):
    setup, folder = world
    publish(setup, folder)
    before = {name: (folder / name).read_bytes() for name in _files(folder)}
    publish(setup, folder)
    assert {name: (folder / name).read_bytes() for name in _files(folder)} == before
    assert set(before) == ALL == _told(folder)


def test_a_folder_that_may_only_be_read_is_published_from(world, call, monkeypatch):
    """Not even what counts FLOPs again each time is in the way: the file is one that cannot be written."""
    setup, folder = world
    for step in plan_steps(setup.plan):
        (setup.places.record(step) / "counts.json").mkdir()
    may = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: setup.places.out not in (path, *path.parents) and may(path, mode)
    )
    out = ("--plan", setup.file, "--out", setup.places.out)
    done = call("results", *out, "--publish", folder, tiny=False)
    assert (done.code, done.err) == (0, "") and _files(folder) == ALL
    done = call("results", *out, tiny=False)
    assert done.code == 2 and "is not writable" in done.err


def test_what_no_row_has_any_more_is_removed_and_what_a_person_put_there_stays(make_setup, finish, tmp_path):
    setup, folder = make_setup(rows=ROWS), tmp_path / "docs"
    finish(setup, "row/kept/0", 0.4)
    finish(setup, "row/gone/0", 0.5)
    arch = setup.places.arch(next(step for step in plan_steps(setup.plan) if step.name == "row/changed/0").part)
    arch.parent.mkdir()
    arch.write_text("name: changed\n")
    (folder / "logs").mkdir(parents=True)
    for name in ("README.md", "logs/mine.jsonl"):
        (folder / name).write_text("mine")
    publish(setup, folder)
    assert _told(folder) == {*ALL, "archs/changed.yaml"}
    publish(make_setup(rows=ROWS[:1]), folder)
    assert _files(folder) == {*ALL - {"logs/gone-s0.jsonl"}, "README.md", "logs/mine.jsonl"}
    assert _told(folder) == ALL - {"logs/gone-s0.jsonl"}
    assert not (folder / "archs").exists() and arch.exists()


def test_a_row_that_the_plan_still_has_keeps_its_log_where_it_is_not_finished_here(world):
    setup, folder = world
    publish(setup, folder)
    (setup.places.row_run("gone", 0) / "result.json").unlink()
    publish(setup, folder)
    assert _files(folder) == ALL == _told(folder)


def test_latencies_are_of_the_plans_rows(world, make_setup):
    setup, folder = world
    networks = {name: {"ms": 1.0, "input_size": [64, 32]} for name in ("kept", "gone")}
    data = {"target": "onnx-cpu-1t", "machine": {}, "networks": networks, "command": "x", "commit": "y"}
    write_json(setup.places.out / "latency" / "latency.json", data)
    for rows in (2, 1):
        publish(make_setup(rows=ROWS[:rows]), folder)
        told = json.loads((folder / "results.json").read_text())["latency"]["networks"]
        assert list(told) == ["kept", "gone"][:rows]


def test_a_call_that_was_killed_after_any_file_is_made_good(world, make_setup, monkeypatch):
    """Of the plan with fewer rows: the next call must still know what is to be removed."""
    setup, folder = world
    moved, left = os.replace, 0

    class Killed(BaseException):
        pass

    def replace(source, target) -> None:
        nonlocal left
        moved(source, target)
        left -= 1
        if not left:
            raise Killed

    fewer = make_setup(rows=ROWS[:1])
    for last in range(1, 6):  # results, picture, log, table, results
        publish(make_setup(rows=ROWS[:2]), folder)
        with monkeypatch.context() as patch:
            patch.setattr(reid.files.os, "replace", replace)
            left = last
            with pytest.raises(Killed):
                publish(fewer, folder)
        publish(fewer, folder)
        assert _files(folder) == ALL - {"logs/gone-s0.jsonl"} == _told(folder)


def test_of_what_an_earlier_version_published_the_logs_of_rows_are_known(world, make_setup):
    setup, folder = world
    publish(setup, folder)
    told = json.loads((folder / "results.json").read_text())
    del told["files"]
    write_json(folder / "results.json", told)
    publish(make_setup(rows=ROWS[:1]), folder)
    assert _files(folder) == ALL - {"logs/gone-s0.jsonl"}


def test_what_another_plan_published_is_left_as_it_is(world, tmp_path):
    setup, folder = world
    publish(setup, folder)
    write_json(folder / "results.json", {"plan": "another", "rows": []})
    with pytest.raises(UserError, match="docs: contains what plan another has published; give another folder"):
        publish(setup, folder)
    assert _files(folder) == ALL


@pytest.mark.parametrize("files", [["../mine"], ["/mine"], 1])
def test_a_list_that_leads_elsewhere_is_not_gone_by(world, files):
    setup, folder = world
    folder.mkdir()
    (folder.parent / "mine").write_text("mine")
    write_json(folder / "results.json", {"plan": "made-up", "rows": [], "files": files})
    with pytest.raises(UserError, match="results.json contains unexpected values .*; remove it: "):
        publish(setup, folder)
    assert (folder.parent / "mine").exists() and _files(folder) == {"results.json"}


def test_a_row_of_other_settings_than_the_plans_is_not_published_as_the_plans(world, make_setup):
    _, folder = world
    edited = make_setup(rows=[ROWS[0], {**ROWS[1], "epochs": 9}])
    with pytest.raises(UserError, match=r"row/gone/0 was run with other settings \(recipe.epochs: 14 then, 9 now\)"):
        publish(edited, folder)
    assert not folder.exists()


def test_a_log_that_is_gone_is_named_before_anything_is_written(world):
    setup, folder = world
    (setup.places.row_run("gone", 0) / "metrics.jsonl").unlink()
    with pytest.raises(UserError, match=r"row/gone/0: .*gone-s0/metrics.jsonl is gone; restore it, or remove "):
        publish(setup, folder)
    assert not folder.exists()
