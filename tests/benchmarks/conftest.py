"""Benchmarks in this process, for what ends before anything is measured; each is also run in a process of its own."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def run_here(monkeypatch, capsys) -> Callable[..., subprocess.CompletedProcess]:
    """``python benchmarks/NAME ARGUMENTS`` without the seconds that a process takes to import all."""

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess:
        # The setting would stay with the test process.
        monkeypatch.setattr("reid.engine.machine.memory.keep_freed_memory", lambda: False)
        monkeypatch.setattr(sys, "argv", [str(BENCHMARKS / name), *arguments])
        monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])  # its first entry is replaced by ``_root``
        monkeypatch.delitem(sys.modules, "_root", raising=False)  # there is one of the tools too
        capsys.readouterr()
        code, complaint = 0, ""
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:  # with words, as the interpreter takes it: they are printed, and it ends with 1
            code, complaint = (1, f"{end.code}\n") if isinstance(end.code, str) else (end.code, "")
        finally:
            sys.modules.pop("_root", None)
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(sys.argv, code, printed.out, printed.err + complaint)

    return run
