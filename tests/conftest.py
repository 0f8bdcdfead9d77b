"""Programs that run in two processes at once, for tests of what torchrun starts."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def run_twice() -> Callable[[Path, Path], list[str]]:
    """Runs ``program folder`` in two processes at once, with torchrun's variables; gives what each printed.

    They meet in a file below ``folder`` and talk over the loopback device alone.
    """

    def run(program: Path, folder: Path) -> list[str]:
        loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
        environment = os.environ | {
            "WORLD_SIZE": "2",
            "GLOO_SOCKET_IFNAME": loopback,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        jobs = [
            subprocess.Popen(
                [sys.executable, str(program), str(folder)],
                env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for rank in range(2)
        ]
        try:
            printed = [job.communicate(timeout=150)[0] for job in jobs]
        finally:
            for job in jobs:
                job.kill()
        assert [job.returncode for job in jobs] == [0, 0], "\n".join(printed)
        return printed

    return run


@pytest.fixture(scope="session")
def load_program() -> Callable[[Path], ModuleType]:
    """Such a program as a module, for the same training in this process."""

    def load(program: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(program.stem, program)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
