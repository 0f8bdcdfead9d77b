"""The whole job, with programs of a line in the place of the tools: what is kept, gone on with, refused and told."""

from __future__ import annotations

import errno
import fcntl
import json
import re
import shutil
import sys
from types import SimpleNamespace

import pytest

import tools.jobs.results.job as job
import tools.jobs.results.status as status
from reid.errors import UserError
from reid.files import write_text
from tools.jobs.results.job import Ask, run_results
from tools.jobs.results.plan.steps import plan_steps
from tools.jobs.results.settings import keep_settings
from tools.jobs.results.slices import STOPPED, Ending, Slice
from tools.jobs.results.states import is_done, read_record
from tools.jobs.results.status import print_status

PLAN = {
    "supernets": [{"name": "S"}],
    "searches": [{"name": "F", "supernet": "S", "flops": "6M"}],
    "rows": [
        {"name": "a", "network": "mobilenetv2", "seeds": [0, 1]},
        {"name": "found", "found": {"search": "F"}},
        {"name": "b", "network": "resnet18", "recipe": "mlr"},
    ],
}


@pytest.fixture
def world(make_setup, finish, tmp_path, monkeypatch):
    """Rows are copied from where they were made up before; a step whose name is in ``fail`` ends with an error."""
    made_up = make_setup(**PLAN)
    for number, name in enumerate(("row/a/0", "row/a/1", "row/b/0")):
        finish(made_up, name, 0.1 * (number + 1), settings=False)
    shutil.move(tmp_path / "out", tmp_path / "made")
    setup, ran, fail = make_setup(**PLAN), [], set()

    def commands(setup, step):
        ran.append(step.name)
        if step.name in fail:
            return [[sys.executable, "-S", "-c", "print('loading'); raise SystemExit('error: it is too bad')"]]
        source = tmp_path / "made"
        folders = [("rows", setup.places.run(step)), ("flip", setup.places.flip(step))]
        copies = [f"shutil.copytree({str(source / part / to.name)!r}, {str(to)!r})" for part, to in folders]
        return [[sys.executable, "-S", "-c", f"import shutil; {copy}"] for copy in copies]

    def missing(setup, step):
        return "needs nni: run it elsewhere" if step.kind == "search" else None

    monkeypatch.setattr(job, "step_commands", commands)
    monkeypatch.setattr(job, "_decode_images", lambda setup, left: None)
    for module in (job, status):
        monkeypatch.setattr(module, "missing_packages", missing)
    return SimpleNamespace(setup=setup, ran=ran, fail=fail, make=make_setup)


def test_what_can_be_run_is_run_once(world, capsys):
    world.fail.add("supernet/S")
    assert run_results(world.setup, Ask(only=["a", "b"])) == 0
    assert world.ran == ["row/a/0", "row/b/0", "row/a/1"]
    said = capsys.readouterr().out
    assert "all 3 steps are done" in said and "done     row/b/0" in said
    assert "a    -" in said and "15.0 ± 7.1" in said
    assert run_results(world.setup, Ask(only=["a", "b"])) == 0 and len(world.ran) == 3
    record = read_record(world.setup.places.record(plan_steps(world.setup.plan)[0]))
    assert record.slices == 1 and record.seconds > 0 and not record.failed


def test_a_failure_is_named_with_its_reason_and_others_go_on(world, capsys):
    world.fail |= {"supernet/S", "row/a/0"}
    assert run_results(world.setup, Ask(jobs=2)) == 1
    said = capsys.readouterr().out
    assert set(world.ran) == {"row/a/0", "supernet/S", "row/b/0", "row/a/1"}
    assert "FAILED: row/a/0: error: it is too bad (log: " in said and "| error: it is too bad" in said
    assert (
        "left: 4 of 6 steps (row/a/0, supernet/S, search/F, row/found/0); run the same command again to continue"
        in said
    )
    assert "search/F: needs nni: run it elsewhere" in said
    print_status(world.setup, [])
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert lines["row/a/0"].startswith("failed, ") and lines["row/found/0"] == "waiting for search/F"
    assert lines["row/b/0"].startswith("done, 1 epoch,") and lines["search/F"] == "needs nni: run it elsewhere"
    world.fail.clear()
    assert run_results(world.setup, Ask(only=["row/a/0"])) == 0
    assert "\nthe step is done\n" in capsys.readouterr().out
    print_status(world.setup, ["row/a/0"])
    assert capsys.readouterr().out.endswith("1 of 1 steps are done, including 1 training\n")
    assert json.loads((world.setup.places.out / "results.json").read_text())["rows"][0]["mAP"] == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("row", "difference"),
    [
        ({"epochs": 9}, "recipe.epochs: 14 then, 9 now"),
        ({"set": ["retrain.optimizer.lr=0.01"]}, "recipe.optimizer.lr: 0.05 then, 0.01 now"),
        ({"network": "resnet34"}, "network.name: resnet18 then, resnet34 now"),
        ({"set": ["data.holdout_identities=20"]}, "data.holdout_identities: 24 then, 20 now"),
    ],
)
def test_finished_steps_of_other_settings_are_refused_by_name(world, row, difference):
    plan = {"rows": [{"name": "b", "network": "resnet18"}]}
    run_results(world.make(**plan), Ask())
    other = world.make(rows=[{**plan["rows"][0], **row}])
    with pytest.raises(UserError, match=f"row/b/0 was run with other settings \\({difference}\\)"):
        run_results(other, Ask())
    assert world.ran == ["row/b/0"]


def test_status_says_of_finished_steps_that_the_plan_asks_for_otherwise_by_now(world, capsys):
    """And writes nothing, which a folder that can only be read would not take."""
    rows = [{"name": name, "network": "mobilenetv2"} for name in ("a", "b")]
    setup = world.make(rows=[rows[0]])
    run_results(setup, Ask())
    capsys.readouterr()
    before = sorted(setup.places.out.rglob("*"))
    print_status(world.make(rows=[{**rows[0], "recipe": "mlr"}, rows[1]]), [])
    first, second, total, why = capsys.readouterr().out.splitlines()
    assert first.startswith("row/a/0  refused, 1 epoch, ") and second == "row/b/0  not started"
    assert total == "0 of 2 steps are done, including 0 trainings"
    assert why.startswith("refused: row/a/0 was run with other settings (recipe.") and "; rename it" in why
    print_status(setup, [])
    assert capsys.readouterr().out.startswith("row/a/0  done, 1 epoch, ")
    assert sorted(setup.places.out.rglob("*")) == before


def test_the_table_has_no_row_of_other_settings_than_the_plan_has_by_now(world, capsys):
    """With --only, which does not ask for that row, the command is not refused."""
    rows = [{"name": "a", "network": "mobilenetv2"}, {"name": "b", "network": "resnet18"}]
    run_results(world.make(rows=rows), Ask(only=["b"]))
    capsys.readouterr()
    assert run_results(world.make(rows=[rows[0], {**rows[1], "recipe": "mlr"}]), Ask(only=["a"])) == 0
    said = capsys.readouterr().out
    assert "left out of the table: row/b/0 was run with other settings (recipe." in said
    data = json.loads((world.setup.places.out / "results.json").read_text())
    assert [row["name"] for row in data["rows"]] == ["a"]


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_slice_that_was_too_short_for_anything_to_be_kept_says_so(world, monkeypatch, capsys, interrupted):
    """Given again and again, the command would else never get on, and never say why."""
    setup = world.make(rows=[{"name": name, "network": "mobilenetv2"} for name in ("a", "b")])
    files = (("a", "config.yaml"), ("a", "metrics.jsonl"), ("b", "config.yaml"), ("b", "partway.pt"))

    def stopped(*arguments, **options) -> Slice:
        for name, file in files:
            write_text(setup.places.row_run(name, 0) / file, "")
        return Slice({f"row/{name}/0": Ending(STOPPED, 1.0) for name in ("a", "b")}, interrupted)

    monkeypatch.setattr(job, "run_slice", stopped)
    run_results(setup, Ask(minutes=1))
    *_, left, last = capsys.readouterr().out.splitlines()
    said = "no progress was saved of row/a/0: the slice ended too early; give more --minutes"
    assert (last if interrupted else left).startswith("left: 2 of 2 steps ")
    assert (last == said) != interrupted


def test_a_step_that_failed_before_it_began_may_be_put_right(world):
    row = {"name": "b", "network": "resnet18"}
    world.fail.add("row/b/0")
    assert run_results(world.make(rows=[{**row, "batch": "999x4"}]), Ask()) == 1
    world.fail.clear()
    assert run_results(world.make(rows=[row]), Ask()) == 0


def test_a_training_that_was_killed_before_its_page_gets_it(world, monkeypatch):
    setup, pages = world.make(rows=PLAN["rows"][-1:]), []
    monkeypatch.setattr(job, "complete", pages.append)
    (step,) = plan_steps(setup.plan)
    run = setup.places.run(step)
    shutil.copytree(run.parents[2] / "made" / "rows" / run.name, run)
    keep_settings(setup, step)
    assert not is_done(setup.places, step)  # its flip test is missing too
    world.fail.add(step.name)
    run_results(setup, Ask())
    assert pages == [run]


def test_a_setting_that_came_up_later_has_its_default(world):
    setup = world.make(rows=PLAN["rows"][-1:])
    run_results(setup, Ask())
    path = setup.places.record(plan_steps(setup.plan)[0]) / "settings.yaml"
    text = path.read_text()
    path.write_text("".join(line for line in text.splitlines(True) if "channels_last" not in line))
    assert path.read_text() != text
    assert run_results(setup, Ask()) == 0 and world.ran == ["row/b/0"]


def test_what_to_remove_where_settings_are_damaged_is_told_and_helps(world):
    setup = world.make(rows=PLAN["rows"][-1:])
    run_results(setup, Ask())
    (setup.places.record(plan_steps(setup.plan)[0]) / "settings.yaml").write_text("")
    message = r"settings.yaml is not a mapping .*; restore it, or remove (\S+) and (\S+) and (\S+): the step is then"
    with pytest.raises(UserError, match=message) as refused:
        run_results(setup, Ask())
    for folder in re.search(message, str(refused.value)).groups():
        shutil.rmtree(folder)
    assert run_results(setup, Ask()) == 0 and world.ran == ["row/b/0"] * 2


def test_runs_that_were_not_made_by_the_plan_are_not_taken(world, tmp_path):
    shutil.copytree(tmp_path / "made", world.setup.places.out)
    with pytest.raises(
        UserError, match=r"row/a/0: .*a-s0 has no settings.yaml in .*, so this plan did not make it; remove it"
    ):
        run_results(world.setup, Ask())


def test_one_command_at_a_time(world, monkeypatch):
    monkeypatch.setattr(job, "WAIT", 0.2)
    with (
        job._locked(world.setup.places.out),
        pytest.raises(UserError, match="another command or its steps are still working there"),
    ):
        run_results(world.setup, Ask())
    assert world.ran == []


def test_a_file_system_without_locks_is_no_obstacle(world, monkeypatch):
    def none(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    assert run_results(world.make(rows=PLAN["rows"][-1:]), Ask()) == 0 and world.ran == ["row/b/0"]


def test_another_tools_folder_is_left_as_it_is(world):
    write_text(world.setup.places.out / "config.yaml", "")
    with pytest.raises(UserError, match="holds a training or a pipeline; give another folder with --out"):
        run_results(world.setup, Ask())
    assert world.ran == []


@pytest.mark.parametrize("ask", [Ask(jobs=0), Ask(minutes=0), Ask(minutes=-1), Ask(minutes=float("nan"))])
def test_impossible_amounts_are_refused(world, ask):
    with pytest.raises(UserError, match="must be (above 0|at least 1)"):
        run_results(world.setup, ask)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--plan", "none.yaml"), "none.yaml: there is no such file; name one, or a plan of configs/results"),
        (("--plan", "configs/results/rehearsal.yaml", "--only", "fund"), "--only fund: the plan has no such step"),
        (("--plan", "configs/results/rehearsal.yaml", "--publish", "x"), "no row in .* is finished"),
        (("--plan", "configs/results/rehearsal.yaml", "--step", "latency"), "no row is trained yet"),
    ],
)
def test_the_tool_refuses(call, refused, tmp_path, arguments, message):
    refused(call("results", *arguments, "--out", tmp_path / "out", tiny=False), message)
    assert not (tmp_path / "out").exists()
