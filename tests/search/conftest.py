"""Processes that share a search, with what torchrun would tell them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import Ended, run_together

HERE = Path(__file__).parent


def _search(*arguments: object) -> None:
    import search_program

    search_program.main(*arguments)


@pytest.fixture(scope="session")
def run_processes(forkserver, tmp_path_factory) -> Callable[..., list[Ended]]:
    """Runs ``search_program.main(*arguments)`` in ``count`` processes at once."""
    folder = tmp_path_factory.mktemp("said")

    def run(count: int, *arguments: object) -> list[Ended]:
        return run_together(forkserver, count, folder, _search, *arguments)

    sys.path.insert(0, str(HERE))  # the new processes import the program by its name
    yield run
    sys.path.remove(str(HERE))
