"""Locks that a process holds on a file or folder until it ends, in whatever way; nothing is written for them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path, wait: bool = False) -> Iterator[bool | None]:
    """Locks ``path``, an existing file or folder, inside the block.

    Yields whether it is locked; ``False``, without ``wait``, if another block of this or another process holds the
    lock; ``None`` if the platform or the file system has no locks, so that nobody can tell.

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
