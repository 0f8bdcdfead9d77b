"""Processes that run together, with what torchrun would tell them; forked from one that has imported torch once."""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from pathlib import Path

import torch


@dataclass(frozen=True)
class Ended:
    """How a process ended: below 0 for the signal that killed it, 1 for an exception, told in ``said``."""

    returncode: int | None
    said: str


def run_together(
    forkserver: BaseContext, count: int, folder: Path, work: Callable[..., None], *arguments: object
) -> list[Ended]:
    """Runs ``work(*arguments)`` in ``count`` processes at once, which talk over the loopback device alone.

    Args:
        folder: a new file for what each prints is made there.
        work: of a module's top, so that it can be told by its name.
    """
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    jobs = []
    for rank in range(count):
        several = {"WORLD_SIZE": str(count), "RANK": str(rank), "LOCAL_RANK": str(rank)} if count > 1 else {}
        said = folder / f"{len(list(folder.iterdir()))}"
        said.touch()
        job = forkserver.Process(
            target=_enter, args=(several | {"GLOO_SOCKET_IFNAME": loopback}, said, work, arguments)
        )
        job.start()
        jobs.append((job, said))
    for job, _ in jobs:
        job.join(timeout=150)
        job.kill()
        job.join()
    return [Ended(job.exitcode, said.read_text()) for job, said in jobs]


def _enter(environment: dict[str, str], said: Path, work: Callable[..., None], arguments: tuple) -> None:
    """In the new process: everything that is printed goes to a file, an exception ends with 1 and its traceback."""
    handle = os.open(said, os.O_WRONLY | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.environ.update(environment)
    torch.set_num_threads(1)
    try:
        work(*arguments)
    except BaseException:
        sys.stdout.flush()
        os.write(2, traceback.format_exc().encode())
        os._exit(1)
    sys.stdout.flush()
