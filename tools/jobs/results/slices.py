"""A slice of time: runs tasks side by side, in order, until all are done or the time is up."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reid.errors import UserError
from tools.interrupts import interruptible
from tools.jobs.results.processes import Running, last_lines

DONE, STOPPED, FAILED = "done", "stopped", "failed"

POLL = 0.1
"""Seconds between checks of the processes."""

GRACE = 25.0
"""Seconds that an interrupted process has to save and end; then it is killed, and resumes from its last checkpoint."""

LEAST = 20.0
"""Seconds that must be left for a task to begin: a process needs that long before it trains."""


@dataclass(frozen=True)
class Task:
    """A task that can be run and resumed.

    Attributes:
        name: unique.
        needs: names of tasks that must be done first.
        done: whether nothing is left to do.
        commands: what to run now; raises UserError if this cannot be determined.
        log: file for the output.
        alone: runs only when no other task can start, with nothing at the same time.
        blocked: why it cannot run on this machine; ``None`` if it can.
    """

    name: str
    needs: tuple[str, ...]
    done: Callable[[], bool]
    commands: Callable[[], Sequence[Sequence[str]]]
    log: Path
    alone: bool = False
    blocked: str | None = None


@dataclass(frozen=True)
class Ending:
    """How a task ended in this slice: its state (``DONE``, ``STOPPED`` or ``FAILED``), its duration in seconds, and the
    last lines of its log if it failed."""

    state: str
    seconds: float
    tail: tuple[str, ...] = ()


@dataclass
class Slice:
    """The outcome of a slice: the endings of the tasks that ran, and whether the user interrupted it."""

    endings: dict[str, Ending] = field(default_factory=dict)
    interrupted: bool = False


def run_slice(
    tasks: Sequence[Task],
    jobs: int,
    seconds: float | None,
    environment: Mapping[str, str],
    tell: Callable[[str], None] = print,
    on_end: Callable[[str, Ending], None] = lambda name, ending: None,
    grace: float = GRACE,
    least: float = LEAST,
    held: Sequence[int] = (),
) -> Slice:
    """Runs unfinished tasks, at most ``jobs`` at a time; of those that can run, the first in order begins first.

    After ``seconds`` (``None``: never), or when the user interrupts, running tasks are interrupted: they save and end.
    A failed task is not started again in this slice; tasks that need it wait, and others continue.

    Args:
        environment: of the processes.
        tell: receives a line when a task begins and when it ends.
        on_end: called with each ending at once.
        grace: see ``GRACE``.
        least: see ``LEAST``; at most a tenth of ``seconds``.
        held: file descriptors that the processes keep open, and with them the locks.
    """
    loop = _Loop(tasks, jobs, environment, tell, on_end, held)
    end = None if seconds is None else loop.start + seconds
    last = None if end is None else end - min(least, seconds / 10)
    with interruptible():
        try:
            while loop.step(may_begin=last is None or time.monotonic() < last):
                if end is not None and time.monotonic() >= end:
                    break
                time.sleep(POLL)
        except KeyboardInterrupt:
            loop.result.interrupted = True
        finally:  # also if recording an ending fails: no step may continue unattended
            loop.stop(grace)
    return loop.result


def _unsaid(code: int, log: Path) -> Iterator[str]:
    """How a process ended, if its log does not say."""
    if code < 0:
        yield f"killed by signal {-code}" + (" (out of memory?)" if code == -signal.SIGKILL else "")
    elif not last_lines(log):
        yield f"exit code {code}"


class _Loop:
    """The tasks of a slice and those that are running."""

    def __init__(self, tasks, jobs, environment, tell, on_end, held) -> None:
        self.tasks, self.jobs, self.environment, self.held = list(tasks), jobs, environment, held
        self.tell, self.on_end = tell, on_end
        self.running: dict[str, Running] = {}
        self.result = Slice()
        self.start = time.monotonic()
        self._finished = {task.name for task in tasks if task.done()}

    def step(self, may_begin: bool) -> bool:
        """Records finished tasks and starts those that can run; returns whether there is anything to wait for."""
        self._collect()
        while may_begin and len(self.running) < self.jobs:
            task = self._next()
            if task is None:
                break
            self._begin(task)
        return bool(self.running)

    def _next(self) -> Task | None:
        if any(task.alone for task in self.tasks if task.name in self.running):
            return None
        able = [task for task in self.tasks if self._is_able(task)]
        beside = [task for task in able if not task.alone]
        if beside:
            return beside[0]
        return able[0] if able and not self.running else None

    def _is_able(self, task: Task) -> bool:
        ran = task.name in self.running or task.name in self.result.endings
        return not ran and not task.blocked and self._finished.issuperset(task.needs) and not self._is_finished(task)

    def _is_finished(self, task: Task) -> bool:
        if task.alone:  # there may be more to measure by now
            return task.done()
        return task.name in self._finished

    def _begin(self, task: Task) -> None:
        self._say(f"started  {task.name}")
        try:
            self.running[task.name] = Running(task.commands(), task.log, self.environment, self.held)
        except UserError as error:
            self._end(task, Ending(FAILED, 0.0, (f"error: {error}",)))

    def _collect(self) -> None:
        for task in self.tasks:
            running = self.running.get(task.name)
            code = None if running is None else running.poll()
            if code is None:
                continue
            del self.running[task.name]
            seconds = time.monotonic() - running.started
            if code == 0 and task.done():
                self._end(task, Ending(DONE, seconds))
            elif running.stopping:  # interrupted during its imports, it may exit with any code
                self._end(task, Ending(STOPPED, seconds))
            else:
                self._end(task, Ending(FAILED, seconds, (*last_lines(task.log), *_unsaid(code, task.log))))

    def _end(self, task: Task, ending: Ending) -> None:
        words = {DONE: "done    ", STOPPED: "stopped ", FAILED: "FAILED  "}[ending.state]
        self._say(f"{words} {task.name} after {ending.seconds:.0f} s")
        for line in ending.tail:
            self.tell(f"             | {line}")
        self.result.endings[task.name] = ending
        if ending.state == DONE:
            self._finished.add(task.name)
        self.on_end(task.name, ending)

    def _say(self, words: str) -> None:
        self.tell(f"[{time.monotonic() - self.start:6.0f} s] {words}")

    def stop(self, grace: float) -> None:
        """Interrupts the running tasks and kills those that have not ended after ``grace`` seconds."""
        for number, wait in ((signal.SIGINT, grace), (signal.SIGKILL, 5.0)):
            for running in self.running.values():
                running.stop(number)
            until = time.monotonic() + wait
            while self.running and time.monotonic() < until:
                # The tasks are ending already; if one's ending cannot be recorded, the others must still be ended.
                with contextlib.suppress(KeyboardInterrupt, OSError, UserError):
                    time.sleep(POLL)
                    self._collect()
