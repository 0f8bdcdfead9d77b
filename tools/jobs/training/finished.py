"""Whether trainings are finished, and completion of one that was killed at its very end or has lost files."""

from __future__ import annotations

from pathlib import Path

from evaluation.comparison.row import RESULT, SCORE
from evaluation.report.html import REPORT
from evaluation.report.training import write_training_report
from reid.engine.guard.guard import STATE
from reid.engine.runs.run_folder import CONFIG, WEIGHTS, read_metrics
from reid.errors import UserError
from tools.jobs.paths import shown
from tools.jobs.runs.provenance import made_by


def is_finished(run: Path) -> bool:
    """Whether a run has its weights and their score: a training, or an evaluation that stores what it scored."""
    return (run / RESULT).is_file() and (run / WEIGHTS).is_file()


def is_over(run: Path, weights: str) -> bool:
    """Whether the training in ``run`` has ended with its weights in place but its checkpoint missing. Its weights are
    then kept, since resuming would train everything again.

    Args:
        weights: name of the file with the final weights.

    Raises:
        UserError: the weights are missing too.
    """
    ended = any((run / name).is_file() for name in (weights, RESULT, REPORT))
    if not ended or not (run / CONFIG).is_file() or (run / STATE).is_file():
        return False
    if not (run / weights).is_file():
        raise UserError(
            f"{shown(run)} was trained to its end, but {weights} and {STATE} are gone; restore one of them, or remove "
            "the folder to train all of it again"
        )
    return True


def tell_over(run: Path) -> None:
    """Prints that a run is already finished."""
    print(f"{shown(run)} is finished and its {STATE} is gone: its weights are kept, and nothing is trained")


def is_complete(run: Path, scored: bool) -> bool:
    """Whether a training has its page and, if it is ``scored``, its score and its row for tables."""
    return all((run / name).is_file() for name in (REPORT, *([RESULT, SCORE] if scored else [])))


def complete(run: Path) -> None:
    """Writes the page of a finished training, also a supernet's, if it is missing because the process was killed
    before. Without the run's records no page can be written.

    Raises:
        UserError: the records are damaged.
    """
    if not (run / REPORT).exists() and read_metrics(run):
        write_training_report(run, made_by())
