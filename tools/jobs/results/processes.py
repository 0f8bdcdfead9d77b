"""A task's commands as child processes: run one after the other, logged to one file, stoppable at any time."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

LOG = "log.txt"

TAIL_BYTES = 16384
"""Bytes read from the end of a log to find its last lines; progress bars write long ones."""


class Running:
    """The running commands of a task.

    Args:
        commands: command lines; each starts once the one before has exited with 0.
        log: file to which their output is appended.
        environment: of the processes.
        held: file descriptors that the processes keep open.

    Attributes:
        started: ``time.monotonic()`` of the start.
        stopping: whether it was told to stop.
    """

    def __init__(
        self, commands: Sequence[Sequence[str]], log: Path, environment: Mapping[str, str], held: Sequence[int] = ()
    ) -> None:
        self.started, self.stopping = time.monotonic(), False
        self._held = tuple(held)
        self._left, self._environment = [list(command) for command in commands], dict(environment)
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log: IO[bytes] = log.open("ab")
        self._process: subprocess.Popen | None = None
        self._code: int | None = None if self._left else 0
        self._next()

    def _next(self) -> None:
        if not self._left:
            return
        command = self._left.pop(0)
        self._log.write(f"\n$ {' '.join(command)}\n".encode())
        self._log.flush()
        # A session of its own: a terminal's interrupt then reaches only this program, which passes it on.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=self._environment,
            pass_fds=self._held,
            start_new_session=True,
            preexec_fn=_ending_with_parent(os.getpid()),
        )

    def poll(self) -> int | None:
        """The exit code once everything has ended: that of the first command that failed, or 0; ``None`` before."""
        if self._code is None and self._process is not None:
            code = self._process.poll()
            if code == 0 and self._left and not self.stopping:
                self._next()
            elif code is not None:
                self._code = code
        if self._code is not None:
            self._log.close()
        return self._code

    def stop(self, number: int = signal.SIGINT) -> None:
        """Sends a signal to the running process and to those that it started."""
        self.stopping = True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _ending_with_parent(parent: int) -> Callable[[], None]:
    """What a child runs first: it accepts interrupts even if its parent ignores them, and on Linux it is interrupted
    when its parent is killed, so that no orphaned training continues."""

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGINT)

    return prepare


def last_lines(log: Path, count: int = 8) -> list[str]:
    """The last non-empty lines of a log; of a progress bar, its last state."""
    if not log.is_file():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    lines = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return [line for line in lines if line.strip()][-count:]


def share_cores(jobs: int) -> dict[str, str]:
    """The environment of ``jobs`` parallel processes: each gets its share of the cores, unless already set."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(max(1, cores // jobs))
    return {"OMP_NUM_THREADS": threads, **os.environ, "PYTHONUNBUFFERED": "1"}
