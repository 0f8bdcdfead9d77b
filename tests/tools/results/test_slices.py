"""Slices of time: cut, gone on with, killed, with a task that fails. The tasks are programs that count."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reid.errors import UserError
from tools.jobs.results.processes import last_lines, share_cores
from tools.jobs.results.slices import DONE, FAILED, STOPPED, Task, run_slice

# Counts to a number, a step every 20 ms, from where it was; an interrupt ends it as our tools end: 130. Notes when it
# began and ended.
COUNTER = """
import sys, time
from pathlib import Path
folder, goal = Path(sys.argv[1]), int(sys.argv[2])
file, times = folder / "count", folder / "times"
def note(word):
    with times.open("a") as lines: lines.write(f"{word} {time.time()}\\n")
try:
    note("begin")
    while (count := int(file.read_text()) if file.exists() else 0) < goal:
        time.sleep(0.02)
        (folder / "new").write_text(str(count + 1)); (folder / "new").replace(file)
    note("end")
except KeyboardInterrupt:
    note("end")
    sys.exit(130)
"""


def _count(folder: Path) -> int:
    return int((folder / "count").read_text()) if (folder / "count").exists() else 0


def _task(root: Path, name: str, goal: int, needs=(), **other) -> Task:
    folder = root / name
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-S", "-c", COUNTER, str(folder), str(goal)]
    return Task(
        name, tuple(needs), lambda: _count(folder) >= goal, other.pop("commands", lambda: [command]), folder / "log",
        **other,
    )  # fmt: skip


def _run(tasks, jobs=1, seconds=None, **other):
    said: list[str] = []
    made = run_slice(tasks, jobs, seconds, dict(os.environ), said.append, least=0.0, **other)
    return made, said


def _times(folder: Path) -> list[tuple[float, float]]:
    stamps = [float(line.split()[1]) for line in (folder / "times").read_text().splitlines()]
    return list(zip(stamps[::2], stamps[1::2], strict=True))


def test_cut_slices_come_to_the_end(tmp_path):
    tasks = [_task(tmp_path, "a", 60), _task(tmp_path, "b", 5, needs=["a"])]
    counts, seconds = [], 0.6
    for _ in range(30):
        made, _ = _run(tasks, seconds=seconds)
        counts.append(_count(tmp_path / "a"))
        if set(made.endings.values()) and tasks[1].done():
            break
        if counts[-2:] in ([0], [counts[-1]] * 2):  # a busy machine has not even begun it
            seconds *= 2
    assert tasks[0].done() and tasks[1].done()
    assert len(counts) >= 3 and counts == sorted(counts) and counts[0] < 60, "was not cut"
    assert _count(tmp_path / "a") == 60
    made, said = _run(tasks)
    assert not made.endings and not said


def test_how_a_slice_is_told(tmp_path):
    tasks = [_task(tmp_path, "a", 3), _task(tmp_path, "long", 10_000)]
    ended = []
    made, said = _run(tasks, jobs=2, seconds=1.5, on_end=lambda name, ending: ended.append((name, ending.state)))
    assert ended == [("a", DONE), ("long", STOPPED)] and made.endings["long"].seconds > 1
    assert [line[11:] for line in said[:2]] == ["started  a", "started  long"] and len(said) == 4
    assert 0 < _count(tmp_path / "long") < 10_000


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_more_than_jobs_run_side_by_side(tmp_path, jobs):
    tasks = [_task(tmp_path, name, 15) for name in "abcd"]
    _run(tasks, jobs=jobs)
    spans = [_times(tmp_path / name)[0] for name in "abcd"]
    beside = [sum(begin < start < end for begin, end in spans) for start, _ in spans]
    assert max(beside) <= jobs - 1
    assert min(zip(spans, "abcd", strict=True))[1] == "a"


def test_jobs_run_side_by_side(tmp_path):
    """Each of the two waits for the other to have begun, however slow the machine."""
    meet = """
import sys, time
from pathlib import Path
own, other, count = map(Path, sys.argv[1:])
own.touch()
end = time.monotonic() + 120
while not other.exists():
    if time.monotonic() > end: sys.exit("the other has not begun")
    time.sleep(0.02)
count.write_text("1")
"""
    begun = {name: tmp_path / f"{name}-begun" for name in "ab"}

    def meeting(own: str, other: str) -> Task:
        command = [sys.executable, "-S", "-c", meet, *map(str, (begun[own], begun[other], tmp_path / own / "count"))]
        return _task(tmp_path, own, 1, commands=lambda: [command])

    made, _ = _run([meeting("a", "b"), meeting("b", "a")], jobs=2)
    assert [made.endings[name].state for name in "ab"] == [DONE, DONE]


def test_what_fails_is_told_and_others_go_on(tmp_path):
    script = "import sys; print('one'); print('the reason'); sys.exit(3)"
    bad = _task(tmp_path, "bad", 1, commands=lambda: [[sys.executable, "-S", "-c", script]])

    def unknown():
        raise UserError("no such network")

    tasks = [bad, _task(tmp_path, "needs bad", 1, needs=["bad"]), _task(tmp_path, "c", 2, commands=unknown)]
    tasks.append(_task(tmp_path, "good", 2))
    made, said = _run(tasks)
    assert {name: ending.state for name, ending in made.endings.items()} == {"bad": FAILED, "c": FAILED, "good": DONE}
    assert made.endings["bad"].tail[-1] == "the reason" and made.endings["c"].tail == ("error: no such network",)
    assert any(line.endswith("| the reason") for line in said) and not made.interrupted


def test_ending_well_without_what_was_wanted_is_a_failure(tmp_path):
    task = _task(tmp_path, "a", 1, commands=lambda: [[sys.executable, "-S", "-c", "print('nothing done')"]])
    assert _run([task])[0].endings["a"].state == FAILED


def test_commands_of_a_task_follow_each_other_until_one_fails(tmp_path):
    lines = tmp_path / "a" / "lines"
    say = [
        sys.executable,
        "-S",
        "-c",
        "import sys; open(sys.argv[1], 'a').write(sys.argv[2]); sys.exit(int(sys.argv[3]))",
    ]
    commands = [[*say, str(lines), word, code] for word, code in (("x", "0"), ("y", "4"), ("z", "0"))]
    made, _ = _run([_task(tmp_path, "a", 1, commands=lambda: commands)])
    assert lines.read_text() == "xy" and made.endings["a"].state == FAILED


def test_what_must_be_alone_comes_last_and_alone(tmp_path):
    tasks = [_task(tmp_path, "alone", 5, alone=True), _task(tmp_path, "a", 10), _task(tmp_path, "b", 20)]
    made, _ = _run(tasks, jobs=3)
    begin, _ = _times(tmp_path / "alone")[0]
    assert all(end <= begin for name in "ab" for _, end in _times(tmp_path / name))
    assert all(ending.state == DONE for ending in made.endings.values())


def test_what_cannot_run_here_is_left_out(tmp_path):
    tasks = [_task(tmp_path, "a", 1, blocked="needs nni"), _task(tmp_path, "b", 1)]
    assert set(_run(tasks)[0].endings) == {"b"}


def test_one_that_does_not_end_is_killed(tmp_path):
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    task = _task(tmp_path, "deaf", 1, commands=lambda: [[sys.executable, "-S", "-c", deaf]])
    start = time.monotonic()
    made, _ = _run([task], seconds=0.8, grace=0.5)
    assert made.endings["deaf"].state == STOPPED and time.monotonic() - start < 10


def test_a_time_limit_from_outside_is_an_interrupt(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    task = _task(tmp_path, "a", 10_000)
    killer = subprocess.Popen([sys.executable, "-S", "-c", _KILL, str(os.getpid()), str(tmp_path / "a" / "count")])
    made, _ = _run([task], seconds=60)
    assert killer.wait() == 0
    assert made.interrupted and made.endings["a"].state == STOPPED and signal.getsignal(signal.SIGTERM) is before


_KILL = """
import os, signal, sys, time
while not os.path.exists(sys.argv[2]): time.sleep(0.02)
os.kill(int(sys.argv[1]), signal.SIGTERM)
"""

_PARENT = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tools.jobs.results.slices import Task, run_slice
folder = Path(sys.argv[2])
command = [sys.executable, "-S", "-c", sys.argv[3], str(folder), "10000"]
run_slice([Task("a", (), lambda: False, lambda: [command], folder / "log")], 1, None, dict(os.environ))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="children are told of their parent's end on Linux alone")
def test_no_task_outlives_a_command_that_is_killed(tmp_path):
    root = Path(__file__).resolve().parents[3]
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(root), str(tmp_path), COUNTER])
    until = time.monotonic() + 60
    while _count(tmp_path) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    while "end" not in (tmp_path / "times").read_text() and time.monotonic() < until:
        time.sleep(0.05)
    kept = _count(tmp_path)
    time.sleep(0.2)
    assert 2 <= kept == _count(tmp_path) < 10_000


def test_last_lines_of_a_log_with_progress_bars(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"x" * 40_000 + b"\nepoch:   0%|\repoch:  50%|\repoch: 100%|\r\n\nerror: too bad\n")
    assert last_lines(log, 2) == ["epoch: 100%|", "error: too bad"] and last_lines(tmp_path / "none") == []


def test_cores_are_shared(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert share_cores(1)["OMP_NUM_THREADS"] == str(cores) and share_cores(1000)["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert share_cores(2)["OMP_NUM_THREADS"] == "3"


def test_steps_are_ended_where_what_came_of_one_cannot_be_noted(tmp_path):
    """As on a full disk: nobody would wait for the others any more."""

    def full(name, ending):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        _run([*(_task(tmp_path, name, 10**6) for name in "ab"), _task(tmp_path, "short", 2)], jobs=3, on_end=full)
    for name in "ab":
        words = (tmp_path / name / "times").read_text().split()[::2]
        assert words == ["begin", "end"] and _count(tmp_path / name) < 10**6


def test_a_step_that_was_killed_is_said_to_be(tmp_path):
    """Its last line says nothing of that."""
    program = "import os; print('loading', flush=True); os.kill(os.getpid(), 9)"
    made, _ = _run([_task(tmp_path, "a", 1, commands=lambda: [[sys.executable, "-S", "-c", program]])])
    ending = made.endings["a"]
    assert ending.state == FAILED and ending.tail[-2:] == ("loading", "killed by signal 9 (out of memory?)")
