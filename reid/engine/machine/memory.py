"""Memory that is freed stays with the process: on a CPU this nearly halves the time of a training step."""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from malloc.h


def keep_freed_memory() -> bool:
    """Tells glibc's ``malloc`` to neither map large blocks singly nor give freed memory back; true where that took
    effect.

    By default every activation of more than 128 KiB to 32 MiB is mapped, zeroed page by page by the kernel, and
    unmapped again, each step anew. The setting is the whole process's, so it belongs to a program's start and never
    into a library call; it does nothing where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, -1))
