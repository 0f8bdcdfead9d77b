"""An ``.npy`` file of pixels that may be larger than memory: written piece by piece, and mapped."""

from __future__ import annotations

import mmap
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

# Python names this flag from 3.13 on; its value is the same on all of these machines.
_NO_RESERVE = 0x4000 if sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64") else 0


def write_array(path: Path, shape: tuple[int, ...], blocks: Iterable[np.ndarray]) -> None:
    """Writes ``uint8`` blocks one after another as an array of ``shape``. A full disk is an error here; when writing
    through a memory map it would be a crash."""
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(block)


def map_array(path: Path) -> np.ndarray:
    """The array in the file, mapped copy-on-write: changes never reach the file.

    numpy's own copy-on-write map (``mmap_mode="c"``) reserves memory for every page, as if all were to be changed, and
    Linux refuses that if the file is larger than memory; a map that is only read needs none.

    Raises:
        OSError, EOFError, ValueError: the file is missing, cut off or not an ``.npy`` file.
    """
    found = np.load(path, mmap_mode="r")
    if not hasattr(mmap, "MAP_PRIVATE"):  # Windows
        return np.load(path, mmap_mode="c")
    with path.open("rb") as file:
        flags, access = mmap.MAP_PRIVATE | _NO_RESERVE, mmap.PROT_READ | mmap.PROT_WRITE
        pages = mmap.mmap(file.fileno(), 0, flags=flags, prot=access)
    return np.ndarray(found.shape, found.dtype, pages, found.offset)
