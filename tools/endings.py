"""One-line messages for errors that a tool's user can cure; any other error is a bug and keeps its traceback."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import signal
import sys
import threading
from collections.abc import Iterator

import torch

from reid.errors import UserError
from reid.out_of_memory import no_memory

CANNOT_WRITE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
    *(errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EFBIG),
)
"""Error numbers of a path that cannot be written."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Those of them that more disk space would cure."""

LOST = re.compile(r"gloo/transport|Connection (closed|reset) by peer|Broken pipe|remote process exited", re.IGNORECASE)
"""In a RuntimeError of gloo or NCCL: another of torchrun's processes has gone."""


def line_of(error: Exception, less: str) -> str | None:
    """The message for ``error``; ``None`` if the error is a bug.

    Args:
        less: how to make the tool use less memory.
    """
    if isinstance(error, UserError):
        return str(error)
    if no_memory(error):
        return f"out of memory{_where(error)}: {less}, or end other programs that use memory there"
    if isinstance(error, RuntimeError) and LOST.search(str(error)):
        return "another of torchrun's processes has ended; its own message, above or below, says why"
    if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
        room = "make room there, or " if error.errno in FULL else ""
        return (
            f"{os.fsdecode(error.filename or 'the output')}: {error.strerror}; {room}name a writable folder with --out"
        )
    return None


def _where(error: Exception) -> str:
    """The device and the amount of memory requested, as far as the error gives them."""
    text = str(error)
    device = " on the GPU" if isinstance(error, torch.OutOfMemoryError) or "CU" in text else ""
    asked = re.search(r"[Tt]ried to allocate ([\d.,]+ ?\w+)", text)
    return f"{device} ({asked[1]} more were asked for)" if asked else device


@contextlib.contextmanager
def hushed_threads() -> Iterator[None]:
    """Inside the block, threads that cannot write end without a traceback. These are TensorBoard's: its next write in
    the main thread raises the same error."""
    told = threading.excepthook

    def tell(ended: threading.ExceptHookArgs) -> None:
        if not (isinstance(ended.exc_value, OSError) and ended.exc_value.errno in CANNOT_WRITE):
            told(ended)

    threading.excepthook = tell
    try:
        yield
    finally:
        threading.excepthook = told


def end_with_the_reader() -> None:
    """Ends the process if standard output is a pipe that nobody reads any longer, as after ``| head``."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        # Discards what is still buffered; otherwise the interpreter would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
