"""Recognises errors that mean that memory has run out, and not, say, that a file being read is damaged."""

from __future__ import annotations

import errno
import re

import torch

_WORDS = re.compile(r"out of memory|not enough memory|can't allocate memory|ALLOC_FAILED|bad_?\s?alloc", re.IGNORECASE)
"""Words in torch's RuntimeErrors of the allocators of CPU and CUDA, and of cuBLAS and cuDNN."""


def no_memory(error: BaseException) -> bool:
    """Whether memory ran out, the machine's or a GPU's."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and _WORDS.search(str(error)) is not None
