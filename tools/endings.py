"""What a tool says in one line where it cannot go on; anything else is a fault of ours and keeps its traceback."""

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
"""What the machine says of a path that cannot be written."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Of these, what there being room would help against."""

LOST = re.compile(r"gloo/transport|Connection (closed|reset) by peer|Broken pipe|remote process exited", re.IGNORECASE)
"""In RuntimeErrors of gloo and NCCL: another of torchrun's processes is no longer there."""


def line_of(error: Exception, less: str) -> str | None:
    """What to say of ``error``; ``None`` where it is a fault of ours.

    Args:
        less: what the tool can be told so that it takes less memory.
    """
    if isinstance(error, UserError):
        return str(error)
    if no_memory(error):
        return f"out of memory{_where(error)}: {less}, or end what else takes memory there"
    if isinstance(error, RuntimeError) and LOST.search(str(error)):
        return "another of torchrun's processes has ended; its own message, above or below, says why"
    if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
        room = "make room there, or " if error.errno in FULL else ""
        return (
            f"{os.fsdecode(error.filename or 'the output')}: {error.strerror}; {room}give a folder to write with --out"
        )
    return None


def _where(error: Exception) -> str:
    """The device, and how much was asked for, where the error tells."""
    text = str(error)
    device = " on the GPU" if isinstance(error, torch.OutOfMemoryError) or "CU" in text else ""
    asked = re.search(r"[Tt]ried to allocate ([\d.,]+ ?\w+)", text)
    return f"{device} ({asked[1]} more were asked for)" if asked else device


@contextlib.contextmanager
def hushed_threads() -> Iterator[None]:
    """Inside the block, threads that cannot write end without a traceback: TensorBoard's, whose next write in the main
    thread raises the same error."""
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
    """Ends the process, as ``| head`` does, where standard output is a pipe that nobody reads any longer."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        # What is still buffered goes nowhere, or the interpreter would complain as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
