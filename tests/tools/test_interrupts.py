"""SIGTERM ends a tool as Ctrl-C does: one line, what was saved is kept, and no process of its own is left."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

import tools.cli
from reid.engine.guard.guard import STATE
from reid.engine.runs.checkpoint import load_state
from reid.engine.runs.run_folder import read_metrics
from tools.interrupts import interruptible

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "input_size=[32, 16]",
    "data.synthetic={train_identities: 12, test_identities: 4, distractors: 2, junk: 2, images_per_camera: 2}",
    "data.holdout_identities=4",
    "retrain={epochs: 500, identities: 4, instances: 2, evaluate_every: 0, checkpoint_every: 1}",
)
SAID = "\ninterrupted; run the same command with --resume to continue from the last checkpoint\n"


@pytest.fixture
def begin():
    """Starts a tool as a shell starts a background job, deaf to Ctrl-C; what is left of it is killed at the end."""
    begun = []

    def start(*words: object) -> subprocess.Popen:
        deaf = functools.partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
        command = [sys.executable, *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        begun.append(subprocess.Popen(command, cwd=ROOT, preexec_fn=deaf, **pipes))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def _await(what: Callable[[], bool], process: subprocess.Popen) -> None:
    until = time.monotonic() + 240
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def _ended(process: subprocess.Popen) -> tuple[int, str, str]:
    process.terminate()
    said, complained = process.communicate(timeout=120)
    return process.returncode, said, complained


def _processes_in(folder: Path) -> list[str]:
    """Command lines, of any process of the machine, that name ``folder``."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it has just ended
            continue
    return [line for line in lines if str(folder) in line]


def _sets(values: Sequence[str]) -> list[str]:
    return [word for value in values for word in ("--set", value)]


def test_a_training_keeps_its_last_epoch(begin, small_arch, tmp_path):
    out = tmp_path / "run"
    what = ("tools/retrain.py", "--config", "configs/demo.yaml", "--device", "cpu", *_sets(SMALL))
    process = begin(*what, "--arch", small_arch, "--out", out)
    _await(lambda: (out / STATE).exists(), process)
    code, _, complained = _ended(process)
    assert code == 130 and "Traceback" not in complained
    assert complained.endswith(SAID)
    assert load_state(out / STATE)["epoch"] == len(read_metrics(out)) >= 1


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks processes up under /proc")
def test_an_experiment_ends_its_steps_first(begin, tmp_path):
    plan, out = tmp_path / "plan.yaml", tmp_path / "out"
    rows = [{"name": "one", "network": "mobilenetv2"}, {"name": "two", "network": "resnet18"}]
    config = str(ROOT / "configs" / "demo.yaml")
    plan.write_text(yaml.safe_dump({"config": config, "set": list(SMALL), "epochs": 500, "rows": rows}))
    process = begin("tools/results.py", "--plan", plan, "--out", out, "--device", "cpu", "--jobs", "2")
    _await(lambda: len(list(out.rglob(STATE))) == 2, process)
    assert len(_processes_in(out)) == 3
    code, said, complained = _ended(process)
    assert code == 130 and "Traceback" not in complained, complained
    assert _processes_in(out) == []
    assert said.count("stopped ") == 2 and said.rstrip().endswith("run the same command to continue")
    for log in out.rglob("log.txt"):
        assert log.read_text().endswith(SAID)


def test_both_signals_are_one(monkeypatch, capsys):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        with _heard(signal.SIG_DFL), pytest.raises(SystemExit) as end:
            tools.cli.run_tool(lambda arguments, number=number: os.kill(os.getpid(), number))
        assert end.value.code == 130
        assert capsys.readouterr().err.startswith("\ninterrupted; ")


def test_what_is_to_be_deaf_stays_so(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with _heard(signal.SIG_IGN), interruptible():
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)


def test_torchrun_ends_its_processes_at_once(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with _heard(signal.SIG_DFL), interruptible():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)


class _heard:
    """Both signals are handled by ``handler`` inside the block, and must be so again at its end."""

    def __init__(self, handler: object) -> None:
        self.handler = handler

    def __enter__(self) -> None:
        numbers = (signal.SIGINT, signal.SIGTERM)
        self.before = {number: signal.signal(number, self.handler) for number in numbers}

    def __exit__(self, *error: object) -> None:
        left = {number: signal.signal(number, handler) for number, handler in self.before.items()}
        assert set(left.values()) == {self.handler}
