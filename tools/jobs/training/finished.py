"""Which trainings are finished, and what is missing if one was killed at its very end or has lost files."""

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
    """Whether a run has its network and the network's score: a training, or an evaluation that keeps what it scored."""
    return (run / RESULT).is_file() and (run / WEIGHTS).is_file()


def is_over(run: Path, weights: str) -> bool:
    """Whether the training in ``run`` has ended, its weights are there, and its checkpoint is not: then nothing can go
    on, and they are kept. To go on would be to train it all again.

    Args:
        weights: name of the file that it ends with.

    Raises:
        UserError: the weights are gone too.
    """
    ended = any((run / name).is_file() for name in (weights, RESULT, REPORT))
    if not ended or not (run / CONFIG).is_file() or (run / STATE).is_file():
        return False
    if not (run / weights).is_file():
        raise UserError(
            f"{shown(run)} was trained to its end, and {weights} and {STATE} are gone: put one of them back, or remove "
            "the folder to have it all trained again"
        )
    return True


def tell_over(run: Path) -> None:
    """Prints that a run is already finished."""
    print(f"{shown(run)} is finished and its {STATE} is gone: its weights are kept, and nothing is trained")


def is_complete(run: Path, scored: bool) -> bool:
    """Whether a training has left its page and, where it is ``scored``, its score and its row of tables."""
    return all((run / name).is_file() for name in (REPORT, *([RESULT, SCORE] if scored else [])))


def complete(run: Path) -> None:
    """Writes the page of a finished training, or a supernet's, that was killed between its result and that; of a run
    whose records are gone there is none to write.

    Raises:
        UserError: its records are damaged.
    """
    if not (run / REPORT).exists() and read_metrics(run):
        write_training_report(run, made_by())
