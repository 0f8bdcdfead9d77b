"""Which commit a result says it was made by."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tools.jobs.experiment import ROOT
from tools.jobs.provenance import ARCHIVAL, commit

SAY = "from tools.jobs.provenance import commit; print(commit())"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the last commit by ``git archive``, outside of any checkout."""
    packed = tmp_path / "copy.tar"
    if subprocess.run(["git", "archive", "-o", str(packed), "HEAD"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("no git checkout here")
    with tarfile.open(packed) as file:
        file.extractall(tmp_path / "copy", filter="data")
    return tmp_path / "copy"


def said_in(folder: Path) -> str:
    program = [sys.executable, "-c", SAY]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_a_copy_by_git_archive_knows_its_commit(copy):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said_in(copy) == head[:12] == commit().removesuffix("+")
    (copy / ARCHIVAL).write_text("$Format:%H$\n")  # as it is in a checkout
    assert said_in(copy) == "unknown"
    (copy / ARCHIVAL).unlink()
    assert said_in(copy) == "unknown"
