from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from reid.data.array_file import map_array, write_array


def test_what_is_written_is_what_is_mapped(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3, 3), dtype=np.uint8)
    write_array(tmp_path / "a.npy", pixels.shape, (pixels[:2], pixels[2:]))
    found = map_array(tmp_path / "a.npy")
    assert np.array_equal(found, pixels) and np.array_equal(np.load(tmp_path / "a.npy"), pixels)
    found[:] = 7
    assert np.array_equal(map_array(tmp_path / "a.npy"), pixels)


@pytest.mark.parametrize("content", [b"", b"no array"])
def test_no_array(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises((EOFError, ValueError)):
        map_array(tmp_path / "a.npy")


def _always_granted() -> bool:
    policy = Path("/proc/sys/vm/overcommit_memory")
    return not policy.exists() or policy.read_text().strip() != "0"


@pytest.mark.skipif(_always_granted(), reason="this machine grants or counts memory otherwise")
def test_a_file_larger_than_memory_is_mapped(tmp_path):
    """MSMT17's gallery at 256x128 takes 8 GB, as much as a small machine has."""
    image = 256 * 128 * 3
    count = 3 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // image
    write_array(tmp_path / "a.npy", (count, 256, 128, 3), ())
    os.truncate(tmp_path / "a.npy", (tmp_path / "a.npy").stat().st_size + count * image)  # a hole: it takes no disk
    with pytest.raises(OSError, match="memory"):
        np.load(tmp_path / "a.npy", mmap_mode="c")
    found = map_array(tmp_path / "a.npy")
    found[-1] = 9
    assert found.shape == (count, 256, 128, 3) and found[-1].min() == 9 and found[0].max() == 0
