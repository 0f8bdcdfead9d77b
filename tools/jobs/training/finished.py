"""Which trainings are finished, and what one lacks that was killed at its very end, or whose files are gone."""

from __future__ import annotations

from pathlib import Path

from evaluation.report.html import REPORT
from evaluation.report.training import write_training_report
from evaluation.result_row import RESULT
from reid.engine.guard import STATE
from reid.engine.run_folder import CONFIG, WEIGHTS, read_metrics
from reid.errors import UserError
from tools.jobs.paths import shown
from tools.jobs.provenance import made_by


def is_finished(run: Path) -> bool:
    """Whether a run has its network and the network's score: a training, or an evaluation that keeps what it scored."""
    return (run / RESULT).is_file() and (run / WEIGHTS).is_file()


def is_over(run: Path, *ends: str) -> bool:
    """Whether the training in ``run`` has ended, what it ended with is there, and its checkpoint is not: then nothing
    can go on, and it is kept as it is. To go on would be to train it all again.

    Args:
        ends: files that it ends with.

    Raises:
        UserError: some of these are gone too.
    """
    there = [name for name in (*ends, REPORT) if (run / name).is_file()]
    if not (run / CONFIG).is_file() or (run / STATE).is_file() or not there:
        return False
    missing = [name for name in ends if name not in there]
    if missing:
        raise UserError(
            f"{shown(run)} was trained to its end, and {' and '.join([*missing, STATE])} are gone: put them back, or "
            f"{STATE} alone; or remove the folder to have it all trained again"
        )
    return True


def tell_over(run: Path) -> None:
    """Says so of a run that is over, and sees to its page."""
    print(f"{shown(run)} is finished and kept as it is; without its {STATE} nothing goes on there")
    complete(run)


def complete(run: Path) -> None:
    """Writes the page of a finished training, or a supernet's, that was killed between its result and that; of a run
    whose records are gone there is none to write.

    Raises:
        UserError: its records are damaged.
    """
    if not (run / REPORT).exists() and read_metrics(run):
        write_training_report(run, made_by())
