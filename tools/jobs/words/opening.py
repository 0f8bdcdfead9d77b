"""The announcement before a long job starts, and the estimate of its time after the first steps."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from tqdm import tqdm

from tools.jobs.experiment import CPU_CONFIGS

LONG = 2.5 * 3600
"""Seconds above which a job on a CPU points to the configs meant for CPUs."""


def announce(title: str, lines: list[tuple[str, str | None]]) -> None:
    """Prints a title and aligned ``name  value`` lines; values that are ``None`` are left out."""
    print(title)
    for name, value in lines:
        if value is not None:
            print(f"  {name:<9} {value}")
    sys.stdout.flush()


def tell_estimate(device: torch.device) -> Callable[[float], None]:
    """A callback for the training loop that prints the estimated time and, if that is long on a CPU, what to do."""

    def tell(seconds: float) -> None:
        tqdm.write(f"  estimate  about {format_time(seconds)} for the training")
        if device.type == "cpu" and seconds > LONG:
            tqdm.write(f"  note      this is long on a CPU; for CPUs, use --config {CPU_CONFIGS}")

    return tell


def format_time(seconds: float) -> str:
    """``"45 s"``, ``"12 min"`` or ``"3 h 20 min"``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
