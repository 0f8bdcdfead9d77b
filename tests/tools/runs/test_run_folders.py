"""Run folders: one that cannot be made, one of another tool, one that another process works in; and interrupts."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tools.cli
from reid.engine.machine.distributed import SINGLE
from reid.engine.recipe import Recipe
from reid.engine.recipe.stopping import EarlyStopping
from reid.errors import UserError
from reid.files import read_json, write_json, write_text
from tools.jobs.paths import check_file
from tools.jobs.runs import ownership
from tools.jobs.runs.ownership import alone_in, training_in
from tools.jobs.training.result import epochs_of
from tools.jobs.training.retrain import retrain
from tools.jobs.training.train_supernet import train_supernet
from tools.jobs.training.wanted import Retraining

ROOT = Path(__file__).resolve().parents[3]
TOOLS = {
    "train_supernet": (),
    "search": (),
    "retrain": ("--arch", "mobilenetv2"),
    "evaluate": ("run",),
    "pipeline": (),
    "rank": (),
    "gain": (),
    "cross_domain": ("run", "--datasets", "synthetic"),
    "compare": ("run",),
    "latency": ("--space", "tiny"),
    "results": ("--plan", "configs/results/rehearsal.yaml"),
}
PROOFS = ("rank", "gain", "pipeline")
OWN_OPTIONS = ("compare", "latency", "results")


@pytest.mark.parametrize("name", TOOLS)
def test_a_folder_that_cannot_be_is_refused_first(call, refused, tmp_path, name, monkeypatch):
    file, tiny = write_text(tmp_path / "file", "kept"), name not in OWN_OPTIONS
    refused(call(name, *TOOLS[name], "--out", file, tiny=tiny), f"--out {file}: is a file; name a folder")
    refused(call(name, *TOOLS[name], "--out", file / "a" / "b", tiny=tiny), f"--out .*/a/b: {file} is a file; name a")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    refused(call(name, *TOOLS[name], "--out", tmp_path / "link", tiny=tiny), "name a folder")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    done = call(name, *TOOLS[name], "--out", tmp_path / "out" / "deep", tiny=tiny)
    refused(done, f"--out {tmp_path}/out/deep: {tmp_path} is not writable; name another folder")
    assert file.read_text() == "kept" and not (tmp_path / "out").exists()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc is here")
def test_a_folder_in_which_nothing_can_be_made_is_refused_first(call, refused):
    """Of /proc its owner is told that it may be written in."""
    for out in ("/proc", "/proc/none/run"):
        refused(call("compare", "run", "--out", out, tiny=False), f"--out {out}: .*/proc .*name another folder")


@pytest.mark.parametrize("name", ["rank", "gain", "cross_domain", "compare", "latency"])
def test_another_tools_folder_is_left_as_it_is(call, refused, tmp_path, name):
    write_json(tmp_path / "search.json", {})
    done = call(name, *TOOLS[name], "--out", tmp_path, tiny=name not in OWN_OPTIONS)
    refused(done, f"{tmp_path} holds a search; give another folder with --out")
    assert [file.name for file in tmp_path.iterdir()] == ["search.json"]


@pytest.mark.parametrize("name", ["evaluate", "rank", "gain", "cross_domain", "compare", "latency"])
def test_repeated_trainings_are_left_as_they_are(call, refused, tmp_path, name):
    """They have no configuration of their own; their page was written over."""
    for file in ("result.json", "seed-0/config.yaml", "seed-1/config.yaml"):
        write_json(tmp_path / file, {})
    replace = ("--replace",) if name in ("evaluate", "cross_domain", "latency") else ()
    done = call(name, *TOOLS[name], "--out", tmp_path, *replace, tiny=name not in OWN_OPTIONS)
    refused(done, f"{tmp_path} holds repeated trainings; give another folder with --out")


@pytest.mark.parametrize("name", ["retrain", "evaluate", "visualize", "describe"])
def test_a_search_that_is_mistyped_is_no_reason_for_an_arch_of_another(call, refused, tmp_path, name):
    """``MLR-210M-C`` is in configs/archs too."""
    what = {"retrain": ("--arch",), "describe": ()}.get(name, (tmp_path, "--arch"))
    asked = (*what, "MLR-210M-C", "--search", tmp_path / "serach", "--out", tmp_path / "out")
    refused(
        call(name, *asked, tiny=name != "describe"),
        "--search .*serach: there are no archs of a search in it; name the folder of a",
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "left", "words"),
    [
        ("rank", "ranking.json", "a ranking; go on with --resume"),
        ("gain", "gain.json", "a measurement of a search's gain; go on with --resume"),
        ("cross_domain", "matrix.json", "a cross-domain matrix; write it again with --replace"),
        ("latency", "latency.json", "a latency table's error; write it again with --replace"),
        ("evaluate", "score.json", "a result; write it again with --replace"),
        ("search", "search.json", "a search; go on with --resume"),
        ("pipeline", "config.yaml", "a run; go on with --resume"),
    ],
)
def test_what_an_earlier_call_left_is_not_replaced_unasked(call, refused, supernet_run, tmp_path, name, left, words):
    file = write_text(tmp_path / left, "{}")
    supernet = ("--supernet", supernet_run) if name == "search" else ()
    done = call(name, *TOOLS[name], *supernet, "--out", tmp_path, tiny=name not in OWN_OPTIONS)
    refused(done, f"{tmp_path} already holds {words}, or give another folder with --out$")
    assert file.read_text() == "{}" and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("left", ["ranking.json", "gain.json", "latency.json", "matrix.json"])
def test_a_search_does_not_take_the_place_of_what_was_measured(call, refused, tmp_path, left):
    write_json(tmp_path / left, {})
    refused(call("search", "--out", tmp_path), "holds .*; give another folder with --out")


def test_a_name_that_is_too_long(call, refused, tmp_path):
    refused(call("train_supernet", "--out", tmp_path / ("x" * 300)), "File name too long; name a writable folder")


@pytest.mark.parametrize("seed", ["-1", str(2**63)])
def test_seeds_that_torch_does_not_take(call, refused, tmp_path, seed):
    done = call("retrain", "--arch", "mobilenetv2", "--seed", seed, "--out", tmp_path / "out")
    refused(done, f"--seed {seed}: must be a whole number from 0 to")


@pytest.fixture(scope="module")
def trained(make_job, small_arch, tmp_path_factory) -> Path:
    """``run`` is a training's folder and ``supernet`` another one's."""
    root = tmp_path_factory.mktemp("trained")
    retrain(make_job(root / "run"), Retraining(str(small_arch), root / "none"))
    train_supernet(make_job(root / "supernet"))
    return root


def test_an_evaluation_does_not_take_the_place_of_a_trainings_score(trained, call, refused):
    before = (trained / "run" / "result.json").read_bytes()
    for more in ((), ("--resume",)):
        done = call("evaluate", trained / "run", "--flip", "--out", trained / "run", *more)
        refused(done, "run holds a training or a pipeline; give another folder with --out")
    assert (trained / "run" / "result.json").read_bytes() == before


def test_a_search_is_not_mixed_with_another_run(trained, call, refused, tmp_path):
    refused(call("search", "--supernet", trained / "supernet", "--out", trained / "run"), "run holds a training")
    write_json(tmp_path / "score.json", {})
    refused(call("search", "--supernet", trained / "supernet", "--out", tmp_path), "holds an evaluation; give another")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["score.json"]


def test_what_a_folder_has_in_the_place_of_weights(trained, call, refused, tmp_path):
    done = call("evaluate", trained / "supernet", "--out", tmp_path / "out")
    refused(done, "supernet has no last.safetensors; give .*supernet/supernet.safetensors and --arch NAME")
    refused(call("evaluate", tmp_path, "--out", tmp_path / "out"), "has no last.safetensors; nothing was trained there")


def test_a_second_process_is_refused_and_the_first_loses_nothing(trained, call, refused, small_arch, tmp_path):
    supernet = ("train_supernet", "--out", tmp_path / "supernet", "--resume")
    with alone_in(tmp_path / "supernet"):
        refused(
            call(*supernet), "supernet: another process is working there; wait until it ends, or give another folder"
        )
        assert not (tmp_path / "supernet" / "metrics.jsonl").exists()
    search = ("search", "--supernet", trained / "supernet", "--out", tmp_path / "search")
    with alone_in(tmp_path / "search"):
        refused(call(*search), "search: another process is working there")
        assert list((tmp_path / "search").iterdir()) == []
    assert call(*search).code == 0 and read_json(tmp_path / "search" / "search.json")["finished"]
    with alone_in(trained / "run"):
        done = call("retrain", "--arch", small_arch, "--out", trained / "run", "--resume")
        refused(done, "run: another process is working there")


def test_a_folder_is_held_before_it_is_begun(make_job, tmp_path, monkeypatch):
    """Of two that begin at once with different settings, the one that is refused must not have left its own there."""

    def begin(path, *_):
        with pytest.raises(UserError, match="another process is working there"), alone_in(path):
            pass
        raise RuntimeError("held")

    monkeypatch.setattr(ownership, "open_run", begin)
    with pytest.raises(RuntimeError, match="held"), training_in(make_job(tmp_path / "run"), {}, lambda: None, SINGLE):
        pass


@pytest.mark.parametrize("name", ["evaluate", "cross_domain", "export", "visualize", *PROOFS, "compare", "latency"])
def test_files_of_two_calls_at_once_are_not_mixed(call, refused, tmp_path, name):
    """Each looks whether the folder is free when it begins, and writes minutes later."""
    what, tiny = TOOLS.get(name, (tmp_path / "run",)), name not in OWN_OPTIONS
    with alone_in(tmp_path / "out"):
        done = call(name, *what, "--out", tmp_path / "out", tiny=tiny)
        refused(done, "out: another process is working there; wait until it ends, or give")
    wrong = {"latency": ("--target", "none"), "pipeline": ("--set", "search.flops=1")}.get(name, ())
    refused(call(name, *what, *wrong, "--out", tmp_path / "new" / "deep", tiny=tiny), "^error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # what was refused has left nothing


@pytest.mark.parametrize("name", ["train_supernet", "search", "retrain", "rank", "gain", "pipeline"])
def test_resume_where_nothing_was_begun_begins_and_says_so(call, tmp_path, name):
    """Another folder may have been meant."""
    told = f"note: --resume: {tmp_path}/run holds no run to continue; starting a new one there\n"
    wrong = ("--set", "space=none")  # so that it ends before its work
    assert call(name, *TOOLS[name], "--out", tmp_path / "run", "--resume", *wrong).out.startswith(told)
    write_text(tmp_path / "run" / "config.yaml", "")
    assert told not in call(name, *TOOLS[name], "--out", tmp_path / "run", "--resume", *wrong).out


def test_records_that_were_lost_are_named(tmp_path):
    for text in (None, "", '{"epoch": 1, "lo'):
        if text is not None:
            write_text(tmp_path / "metrics.jsonl", text)
        with pytest.raises(UserError, match="metrics.jsonl is gone or damaged; restore it, or train"):
            epochs_of(tmp_path, Recipe())
    write_text(tmp_path / "metrics.jsonl", '{"epoch": 1}\n{"epoch": 2}\n')
    assert epochs_of(tmp_path, Recipe(epochs=9, early_stopping=EarlyStopping())) == 2
    # The last of the records may be lost where the machine died: the result's epochs are those that were trained.
    assert epochs_of(tmp_path, Recipe(epochs=3)) == 3


def test_features_that_cannot_be_saved_are_told_before_anything_is_run(trained, tmp_path, call, refused):
    file = write_text(tmp_path / "file", "kept")
    done = call("evaluate", trained / "run", "--out", tmp_path / "out", "--save-features", file / "x.npz")
    refused(done, "--save-features.*file: is a file; name a folder")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=f"^--out {tmp_path}: is a folder; name a file$"):
        check_file(tmp_path, "--out")


# Interrupts.


def test_what_is_said_after_an_interrupt_where_there_is_no_resume():
    """In a process of its own, that is interrupted once all is imported."""
    program = ROOT / "tools" / "results.py"
    code = (
        "import runpy, sys, tools.jobs.paths\n"
        "def interrupted(*rest): raise KeyboardInterrupt\n"
        "tools.jobs.paths.check_folder = interrupted\n"
        f"sys.argv[0] = {str(program)!r}\n"
        f"sys.path.insert(0, {str(program.parent)!r})\n"
        f"runpy.run_path({str(program)!r}, run_name='__main__')\n"
    )
    command = [sys.executable, "-c", code, *TOOLS["results"]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 130 and done.stderr == "\ninterrupted; run the same command to continue\n", done.stderr


def test_an_interrupt_while_it_is_loaded_leaves_no_traceback(tmp_path):
    write_text(tmp_path / "torch.py", "import time\nprint('loading', flush=True)\ntime.sleep(100)\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, str(ROOT / "tools" / "search.py")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # Of its own, whatever these tests were started by: a shell's background jobs ignore interrupts.
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, cwd=tmp_path, env=environment, preexec_fn=heard, **pipes) as process:
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT and said == ""


def test_only_what_cannot_be_written_is_told_in_a_line():
    def main(arguments):
        raise FileNotFoundError(2, "No such file", "x")

    with pytest.raises(FileNotFoundError):  # a fault of ours
        tools.cli.run_tool(main)
