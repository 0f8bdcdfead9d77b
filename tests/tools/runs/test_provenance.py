"""Which commit a result says it was made by."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tools.jobs.experiment import ROOT
from tools.jobs.runs.provenance import commit

SAY = """
import importlib
from pathlib import Path
import tools.jobs.runs.provenance as provenance
print(provenance.commit())
archival = Path(provenance.ARCHIVAL)
archival.write_text("$Format:%H$\\n")  # as it is in a checkout
print(importlib.reload(provenance).commit())
archival.unlink()
print(importlib.reload(provenance).commit())
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the last commit by ``git archive``, outside of any checkout."""
    packed = tmp_path / "copy.tar"
    if subprocess.run(["git", "archive", "-o", str(packed), "HEAD"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("no git checkout here")
    with tarfile.open(packed) as file:
        file.extractall(tmp_path / "copy", filter="data")
    return tmp_path / "copy"


def test_a_copy_by_git_archive_knows_its_commit(copy):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    said = subprocess.run([sys.executable, "-c", SAY], cwd=copy, capture_output=True, text=True, check=True).stdout
    assert said.split() == [head[:12], "unknown", "unknown"] and commit().removesuffix("+") == head[:12]
