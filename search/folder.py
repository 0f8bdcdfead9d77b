"""A search's run folder: its files, and reading back its ``search.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reid.files import expecting, read_mapping

LOG, FRONT, SUMMARY, ARCHS = "candidates.jsonl", "front.json", "search.json", "archs"

CURE = "restore it, or remove the search's folder and search again"
"""Cure of a damaged summary: the log beside it does not hold the settings by which its candidates were drawn."""


def read_summary(run: Path) -> dict[str, Any]:
    """The summary of the search in ``run``; raises UserError where it is missing or damaged."""
    return read_mapping(run / SUMMARY, CURE)


def search_is_finished(run: Path) -> bool:
    """Whether the search in ``run`` is finished, and the archs that it chose are still there.

    Raises:
        UserError: the summary is damaged.
    """
    files = chosen_files(run) if (run / SUMMARY).is_file() else ()
    return bool(files) and all(file.is_file() for file in files)


def chosen_files(run: Path) -> tuple[Path, ...]:
    """The files of the archs that the search in ``run`` chose, best first; none where it is not finished.

    Raises:
        UserError: the summary is missing or damaged.
    """
    summary = read_summary(run)
    if not summary.get("finished"):
        return ()
    with expecting(run / SUMMARY, CURE):
        files = tuple(run / row["file"] for row in summary["best"])
        if not files:
            raise ValueError("no arch was chosen")
    return files
