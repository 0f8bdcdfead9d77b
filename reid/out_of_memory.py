"""Errors that tell of memory that has run out, and of nothing else: of a file that was being read, say, they do not."""

from __future__ import annotations

import errno
import re

import torch

_WORDS = re.compile(r"out of memory|not enough memory|can't allocate memory|ALLOC_FAILED|bad_?\s?alloc", re.IGNORECASE)
"""In torch's RuntimeErrors: the CPU's allocator, CUDA's, and cuBLAS's and cuDNN's own."""


def no_memory(error: BaseException) -> bool:
    """Whether memory ran out, the machine's or a GPU's."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and _WORDS.search(str(error)) is not None
