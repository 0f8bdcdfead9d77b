"""Which trainings are finished, and what one lacks that was killed at its very end."""

from __future__ import annotations

from pathlib import Path

from evaluation.report.html import REPORT
from evaluation.report.training import write_training_report
from evaluation.result_row import RESULT
from reid.engine.run_folder import WEIGHTS, read_metrics
from tools.jobs.provenance import made_by


def is_finished(run: Path) -> bool:
    """Whether a run has its network and the network's score: a training, or an evaluation that keeps what it scored."""
    return (run / RESULT).is_file() and (run / WEIGHTS).is_file()


def complete(run: Path) -> None:
    """Writes the page of a finished training, or a supernet's, that was killed between its result and that; of a run
    whose records are gone there is none to write.

    Raises:
        UserError: its records are damaged.
    """
    if not (run / REPORT).exists() and read_metrics(run):
        write_training_report(run, made_by())
