"""Processes that share a search, with what torchrun would tell them."""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Ended:
    """How a process ended: below 0 for the signal that killed it."""

    returncode: int | None
    stdout: str


def _work(environment: dict[str, str], said: Path, arguments: tuple) -> None:
    """In the new process: everything that is printed goes to a file, an exception ends with 1 and its traceback."""
    handle = os.open(said, os.O_WRONLY | os.O_CREAT)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.environ.update(environment)
    torch.set_num_threads(1)
    import search_program

    try:
        search_program.main(*arguments)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        os._exit(1)


@pytest.fixture(scope="session")
def run_processes(forkserver, tmp_path_factory) -> Callable[..., list[Ended]]:
    """Runs ``search_program.main(*arguments)`` in ``count`` processes at once, over the loopback device alone."""
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    folder = tmp_path_factory.mktemp("said")

    def run(count: int, *arguments: object) -> list[Ended]:
        jobs = []
        for rank in range(count):
            own = {"WORLD_SIZE": str(count), "RANK": str(rank), "LOCAL_RANK": str(rank)} if count > 1 else {}
            said = folder / f"{len(list(folder.iterdir()))}"
            said.touch()
            job = forkserver.Process(target=_work, args=(own | {"GLOO_SOCKET_IFNAME": loopback}, said, arguments))
            job.start()
            jobs.append((job, said))
        for job, _ in jobs:
            job.join(timeout=120)
            job.kill()
            job.join()
        return [Ended(job.exitcode, said.read_text()) for job, said in jobs]

    sys.path.insert(0, str(HERE))  # the new processes import the program by its name
    yield run
    sys.path.remove(str(HERE))
