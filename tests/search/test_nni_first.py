"""A caller's own nni: imported before ours, or told to bring a framework that is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ABSENT = "import sys; sys.modules['pytorch_lightning'] = None\n"
OURS = "import search.nni_bridge.strategy\nprint('searches')"


def _python(program: str, **environment: str) -> subprocess.CompletedProcess:
    own = {key: value for key, value in os.environ.items() if key != "NNI_FRAMEWORK"} | environment
    command = [sys.executable, "-c", ABSENT + program]
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize("before", ["", "import nni\n"], ids=["ours first", "nni first"])
def test_a_search_needs_no_framework_whoever_imports_nni_first(before):
    done = _python(before + OURS)
    assert done.returncode == 0 and done.stdout == "searches\n", done.stderr


@pytest.mark.parametrize("before", ["", "import nni\n"], ids=["ours first", "nni first"])
def test_a_framework_that_the_caller_asked_for_and_has_not_is_named(before):
    done = _python(before + OURS, NNI_FRAMEWORK="pytorch")
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == (
        "reid.errors.UserError: nni needs pytorch_lightning, but only for its own networks, which are not used "
        "here; start Python without NNI_FRAMEWORK, and import search before nni.nas"
    )
