"""A slice of time: tasks are run side by side, in their order, until all are done or the time is up."""

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
"""Seconds between looks at the processes."""

GRACE = 25.0
"""Seconds that an interrupted process has to save and end; then it is killed, and goes on from its last checkpoint."""

LEAST = 20.0
"""Seconds that must be left for a task to be begun: a process takes that long before it trains."""


@dataclass(frozen=True)
class Task:
    """A task that can be run and resumed.

    Attributes:
        name: unique.
        needs: names of tasks that must be done before.
        done: whether there is nothing left to do.
        commands: what is to be run now; raises UserError where that cannot be told.
        log: file that is written to.
        alone: it runs when nothing else can any more, and nothing runs beside it.
        blocked: why it cannot be run here; ``None`` where it can.
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
    """How a task's run in this slice ended: ``DONE``, ``STOPPED`` or ``FAILED``; after how many seconds, and with
    which last lines where it failed."""

    state: str
    seconds: float
    tail: tuple[str, ...] = ()


@dataclass
class Slice:
    """The outcome of a slice: the tasks that ran, and whether the user ended it."""

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
    """Runs what is not done, at most ``jobs`` at a time, the first that can be first.

    After ``seconds`` (``None``: never), or when the user interrupts, running tasks are interrupted too: they save and
    end. A task that failed is not begun again in this slice; what needs it waits, and others go on.

    Args:
        environment: of the processes.
        tell: is given a line when a task begins and when it ends.
        on_end: is told how a task ended, at once.
        grace: see ``GRACE``.
        least: see ``LEAST``; at most a tenth of ``seconds``.
        held: files that the processes keep open, as locks are held.
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
        finally:  # also where a record of theirs cannot be written: no step goes on that nobody waits for
            loop.stop(grace)
    return loop.result


def _unsaid(code: int, log: Path) -> Iterator[str]:
    """How a process ended, for one that did not say so itself."""
    if code < 0:
        yield f"killed by signal {-code}" + (" (out of memory?)" if code == -signal.SIGKILL else "")
    elif not last_lines(log):
        yield f"exit code {code}"


class _Loop:
    """The tasks of a slice and those of them that run."""

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
        if task.alone:  # what it measures may have become more
            return task.done()
        return task.name in self._finished

    def _begin(self, task: Task) -> None:
        self._say(f"begins   {task.name}")
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
            elif running.stopping:  # interrupted while it was still being loaded, it may end with any code
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
        """Interrupts the running tasks, and kills those that have not ended after ``grace`` seconds."""
        for number, wait in ((signal.SIGINT, grace), (signal.SIGKILL, 5.0)):
            for running in self.running.values():
                running.stop(number)
            until = time.monotonic() + wait
            while self.running and time.monotonic() < until:
                # They are ending already; and where of one nothing can be noted, others are ended all the same.
                with contextlib.suppress(KeyboardInterrupt, OSError, UserError):
                    time.sleep(POLL)
                    self._collect()
