"""Where the tests on real data find them."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from pathlib import Path

import pytest

from reid.data.datasets.market1501 import FOLDERS, find_market1501

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data" / "market1501"
ARCHIVES = (SHARED / "train.tar.xz", SHARED / "test.tar.xz")
FOLDER = "Market-1501-v15.09.15"


@pytest.fixture(scope="session")
def market1501_root() -> Path:
    """The folder of Market-1501; extracts the archives, where at hand, into the git-ignored ``data/``."""
    found = find_market1501(None, ROOT)
    if found is not None:
        return found
    if os.environ.get("REID_DATA") or not all(archive.is_file() for archive in ARCHIVES):
        pytest.skip("Market-1501 is not at hand: put it into data/ or name its folder in $REID_DATA")
    return extract(ARCHIVES, ROOT / "data")


def extract(archives: tuple[Path, ...], data: Path) -> Path:
    """Extracts beside the target and moves it there, so that a folder of that name is complete."""
    data.mkdir(exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=data, prefix=".extracting-"))
    try:
        for archive in archives:
            with tarfile.open(archive, "r:xz") as tar:
                tar.extractall(temporary, filter="data")
        try:
            (temporary / FOLDER).rename(data / FOLDER)
        except OSError:  # another test process was faster
            if not all((data / FOLDER / part).is_dir() for part in FOLDERS):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return data / FOLDER
