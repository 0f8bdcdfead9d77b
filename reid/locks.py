"""Locks that a process holds on a file or folder until it ends, in whatever way; nothing is written for them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path, wait: bool = False) -> Iterator[bool | None]:
    """Holds ``path``, a file or folder that is there, inside the block.

    Gives whether it is held; ``False``, without ``wait``, where another block holds it, of this process or of another;
    ``None`` where the platform or the file system has no locks, and nobody can tell.

    Raises:
        OSError: ``path`` cannot be opened.
    """
    try:
        import fcntl
    except ImportError:  # on Windows, where no folder can be opened either
        yield None
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            held: bool | None = True
        except BlockingIOError:
            held = False
        except OSError:  # some network file systems
            held = None
        yield held
    finally:
        os.close(descriptor)
