"""Run folders: nothing is overwritten, nothing is resumed with another configuration, torn lines are left out."""

from __future__ import annotations

from shutil import copytree

import pytest
import yaml

from reid.engine.runs.run_folder import append_metrics, keep_metrics_until, open_run, read_metrics
from reid.errors import UserError
from reid.files import write_atomic

CONFIG = {"seed": 0, "input_size": (64, 32), "recipe": {"epochs": 3, "optimizer": {"lr": 0.1, "name": "sgd"}}}


def _files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_new_run_keeps_its_configuration(tmp_path):
    assert open_run(tmp_path / "a" / "run", CONFIG, resume=False) == tmp_path / "a" / "run"
    saved = yaml.safe_load((tmp_path / "a" / "run" / "config.yaml").read_text())
    assert saved == {**CONFIG, "input_size": [64, 32]}


def test_resume_of_a_run_that_is_not_there_begins_it(tmp_path):
    open_run(tmp_path / "run", CONFIG, resume=True)
    assert (tmp_path / "run" / "config.yaml").exists()


def test_old_run_is_not_overwritten(tmp_path):
    open_run(tmp_path, CONFIG, resume=False)
    (tmp_path / "checkpoint.pt").write_text("x")
    before = _files(tmp_path)
    with pytest.raises(UserError, match="already holds a run; go on with --resume"):
        open_run(tmp_path, CONFIG, resume=False)
    assert _files(tmp_path) == before
    open_run(tmp_path, CONFIG, resume=True)
    assert _files(tmp_path) == before


@pytest.mark.parametrize("resume", [True, False])
def test_other_files_are_left_alone(tmp_path, resume):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="is not empty and contains no run"):
        open_run(tmp_path, CONFIG, resume)
    assert list(_files(tmp_path)) == ["thesis.tex"]


@pytest.mark.parametrize("resume", [True, False])
def test_run_that_was_killed_while_its_first_file_was_written_can_begin(tmp_path, resume):
    def write(temporary):
        temporary.write_text("seed: 7")
        copytree(tmp_path / "run", tmp_path / "killed")

    write_atomic(tmp_path / "run" / "config.yaml", write)
    open_run(tmp_path / "killed", CONFIG, resume)
    assert yaml.safe_load((tmp_path / "killed" / "config.yaml").read_text())["seed"] == 0


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(UserError, match="run"):
        open_run(tmp_path / "run", CONFIG, resume=False)
    assert (tmp_path / "run").read_text() == "x"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed: 0 then, 1 now"),
        ({"input_size": (128, 64)}, r"input_size: \[64, 32\] then, \[128, 64\] now"),
        ({"recipe": {"epochs": 3, "optimizer": {"lr": 0.2, "name": "sgd"}}}, "recipe.optimizer.lr: 0.1 then, 0.2 now"),
        ({"more": 1}, "more: None then, 1 now"),
    ],
)
def test_another_configuration_is_named(tmp_path, change, message):
    open_run(tmp_path, CONFIG, resume=False)
    before = _files(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        open_run(tmp_path, CONFIG | change, resume=True)
    assert _files(tmp_path) == before and "\n" not in str(caught.value)


def test_damaged_configuration_is_named(tmp_path):
    (tmp_path / "config.yaml").write_text("a: [\n")
    with pytest.raises(UserError, match="config.yaml is not valid YAML"):
        open_run(tmp_path, CONFIG, resume=True)


def test_metrics_round_trip(tmp_path):
    assert read_metrics(tmp_path) == []
    keep_metrics_until(tmp_path, 3)
    assert list(tmp_path.iterdir()) == []
    records = [{"epoch": epoch, "loss": 1 / epoch} for epoch in range(1, 6)]
    for record in records:
        append_metrics(tmp_path, record)
    assert read_metrics(tmp_path) == records
    keep_metrics_until(tmp_path, 3)
    assert read_metrics(tmp_path) == records[:3]


def test_torn_last_line_is_left_out_at_any_length(tmp_path):
    line, torn = '{"epoch": 1, "loss": 0.5}\n', '{"epoch": 2, "loss": 0.25}'
    for length in range(1, len(torn)):
        (tmp_path / "metrics.jsonl").write_text(line + torn[:length])
        assert read_metrics(tmp_path) == [{"epoch": 1, "loss": 0.5}]
    keep_metrics_until(tmp_path, 5)
    append_metrics(tmp_path, {"epoch": 2})
    assert read_metrics(tmp_path) == [{"epoch": 1, "loss": 0.5}, {"epoch": 2}]


@pytest.mark.parametrize("damage", [b'{"epoch": 2, "lo', b"\xff\xfe", b"\0\0\0\0\0\0", b"", b"2", b"{}"])
def test_another_damaged_line_is_named_and_nothing_dropped(tmp_path, damage):
    lines = [b'{"epoch": 1}', damage, b'{"epoch": 3}', b'{"epo']
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b"\n".join(lines))
    for read in (read_metrics, lambda path: keep_metrics_until(path, 5)):
        with pytest.raises(UserError, match=r"metrics.jsonl: line 2 is damaged .*; restore it") as caught:
            read(tmp_path)
        assert file.read_bytes() == b"\n".join(lines) and "\n" not in str(caught.value)
    file.write_bytes(b"\n".join(lines[::2] + [damage]))  # as the last line it is left out
    assert read_metrics(tmp_path) == [{"epoch": 1}, {"epoch": 3}]
