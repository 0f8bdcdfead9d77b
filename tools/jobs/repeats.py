"""The same training with several seeds, and what they come to together."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from evaluation.comparison import RESULT, comparison_table, read_result, write_result
from evaluation.repeats import mean_row
from reid.engine.run_folder import CONFIG
from reid.errors import UserError
from tools.cli import Job
from tools.jobs.retrain import Retraining, retrain


def retrain_repeatedly(job: Job, what: Retraining, repeats: int) -> Path:
    """Trains ``repeats`` times, in ``seed-<n>`` folders of the job's; writes the mean row, and returns the folder.

    With ``job.resume`` finished seeds are kept and an interrupted one goes on.

    Raises:
        UserError: there are runs in the folder already and ``job.resume`` is not set.
    """
    runs = []
    for seed in range(job.seed, job.seed + repeats):
        run = job.out / f"seed-{seed}"
        begun = (run / CONFIG).exists()
        if begun and not job.resume:
            raise UserError(f"{run} already holds a run; go on with --resume, or give another folder with --out")
        if not (run / RESULT).exists():
            retrain(dataclasses.replace(job, out=run, seed=seed, resume=begun), what)
        runs.append(run)
    rows = [read_result(run) for run in runs]
    row = dataclasses.replace(mean_row(rows), run=str(job.out))
    write_result(job.out, row)
    print(comparison_table([row]))
    return job.out
