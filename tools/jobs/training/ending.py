"""Final messages of the tools that train: where the files are, and which runs they can be compared with."""

from __future__ import annotations

from pathlib import Path

from evaluation.comparison.groups import comparable
from evaluation.comparison.row import RESULT, ResultRow, read_result
from evaluation.report.history import training_folders
from evaluation.report.html import REPORT
from evaluation.report.training import CURVES
from reid.engine.runs.run_folder import METRICS
from reid.errors import UserError
from tools.typed import to_type

MOST = 7
"""Maximum number of other runs, newest first, in the command for a comparison, to keep it readable."""


def tell_training(run: Path, result: str, following: str) -> None:
    """Prints ``result``, the paths of the run's curves and logs, the next command, and the path of the page."""
    logs = [str(folder / METRICS) for folder in training_folders(run) if (folder / METRICS).exists()]
    print(result)
    print(f"curves: {run / CURVES}; log: {', '.join(logs)}")
    print(f"next: {following}")
    print(f"report: {run / REPORT}")


def comparing_command(run: Path) -> str:
    """The command that compares ``run`` with the comparable runs in its parent folder."""
    return to_type("compare", str(run), *map(str, _beside(run)))


def _beside(run: Path) -> list[Path]:
    row, seen = read_result(run), {run.resolve()}
    found = []
    for path in sorted(run.parent.glob(f"*/{RESULT}")):
        if path.parent.resolve() in seen:  # may be reached by a link such as "latest" too
            continue
        seen.add(path.parent.resolve())
        if (other := _row(path.parent)) and comparable([row, other]):
            found.append((path.stat().st_mtime, path.parent))
    return [path for _, path in sorted(found, reverse=True)[:MOST]]


def _row(run: Path) -> ResultRow | None:
    try:
        return read_result(run)
    except UserError:  # written by another version of the code
        return None
