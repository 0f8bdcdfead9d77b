"""Keeps freed memory in the process: on a CPU this nearly halves the time of a training step."""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from malloc.h


def keep_freed_memory() -> bool:
    """Tells glibc's ``malloc`` not to map large blocks individually nor to return freed memory; returns whether that
    took effect.

    By default, every activation above a threshold of 128 KiB to 32 MiB is mapped, zeroed page by page by the kernel and
    unmapped again in every step. The setting affects the whole process, so it belongs at a program's start, never in
    a library call. It does nothing if the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, -1))
