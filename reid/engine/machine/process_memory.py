"""Peak memory of a job, for its records."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")


def peak_memory_mib(device: torch.device) -> float:
    """Peak memory in MiB (2**20 bytes): on CUDA, the most that torch has allocated on ``device`` since
    ``reset_peak_memory``; otherwise, this process's peak resident memory since its start."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_resident_mib()


def reset_peak_memory(device: torch.device) -> None:
    """Restarts ``peak_memory_mib`` on CUDA at the memory allocated now; a process's own peak cannot be reset."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_resident_mib() -> float:
    """This process's peak resident memory since its start, in MiB.

    On Linux this is ``VmHWM``, not ``ru_maxrss``: the kernel passes a parent's peak on to the program that it starts,
    so a small job of a large parent would seem large. Elsewhere, and in sandboxes that emulate Linux without this line
    (gVisor's), it is ``ru_maxrss``, in bytes on macOS and in KiB on others; NaN if there is neither.
    """
    line = re.search(r"^VmHWM:\s*(\d+) kB$", _STATUS.read_text() if _STATUS.exists() else "", re.MULTILINE)
    if line:
        return int(line[1]) / 1024
    try:
        import resource
    except ImportError:  # on Windows
        return math.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
