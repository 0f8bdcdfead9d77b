"""The memory that an ``.onnx`` file takes in a process that does nothing else, as a tracker's process would."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROBE = Path(__file__).with_name("memory_probe.py")

_SECONDS = 120


@dataclass(frozen=True)
class Memory:
    """MiB of physical memory.

    Attributes:
        peak: the process's maximum from opening the file on.
        before: the process's memory before that: Python, numpy and ONNX Runtime.
    """

    peak: float
    before: float

    @property
    def added(self) -> float:
        """Memory that opening and running the file took."""
        return self.peak - self.before


def peak_memory(path: Path, batch: int = 1) -> Memory | None:
    """Memory of a new process that opens ``path`` on one thread and runs it on ``batch`` images a few times. None if
    the system does not report it (it is read from Linux's ``/proc``) or the process failed."""
    if not Path("/proc/self/status").exists():
        return None
    # -P: this folder's names must not shadow others'.
    command = [sys.executable, "-P", str(PROBE), str(path), str(batch)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
        return Memory(**json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return None
