"""The same training with several seeds, and what they come to together."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from evaluation.comparison import comparison_table
from evaluation.repeats import mean_row
from evaluation.report.training import write_training_report
from evaluation.result_row import RESULT, read_result, write_result
from reid.config import config_to_dict
from reid.engine.distributed import from_environment
from reid.engine.run_folder import CONFIG, taken
from reid.errors import UserError
from tools.jobs.job import Job
from tools.jobs.saved_config import read_saved
from tools.jobs.training.retrain import Retraining, retrain


def retrain_repeatedly(job: Job, what: Retraining, repeats: int) -> Path:
    """Trains ``repeats`` times, in ``seed-<n>`` folders of the job's; writes the mean row, and returns the folder.

    With ``job.resume`` finished seeds are kept and an interrupted one goes on.

    Raises:
        UserError: there are runs in the folder already and ``job.resume`` is not set, or they are of another
            configuration.
    """
    runs = []
    for seed in range(job.seed, job.seed + repeats):
        run = job.out / f"seed-{seed}"
        begun = (run / CONFIG).exists()
        if begun and not job.resume:
            raise taken(run)
        if (run / RESULT).exists():
            _check_same(run, job, what)
        else:
            retrain(dataclasses.replace(job, out=run, seed=seed, resume=begun), what)
        runs.append(run)
    scored = (runs[0] / RESULT).exists()  # not on a data set of training images alone
    row = dataclasses.replace(mean_row([read_result(run) for run in runs]), run=str(job.out)) if scored else None
    if from_environment(job.device).is_main:
        if row:
            write_result(job.out, row)
        write_training_report(job.out)
        if row:
            print(comparison_table([row]))
    return job.out


def _check_same(run: Path, job: Job, what: Retraining) -> None:
    """A finished run is not opened again, so it is compared here."""
    then = read_saved(run / CONFIG)
    now = {
        "data": config_to_dict(job.experiment.data),
        "recipe": config_to_dict(job.experiment.retrain),
        "weights": what.weights,
    }
    for key, value in now.items():
        if then.get(key) != value:
            raise UserError(f"{run} was trained with another configuration ({key} differs); give another --out")
