"""The same training with several seeds, and their combined result."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from evaluation.comparison.printed import comparison_table
from evaluation.comparison.repeats import mean_row
from evaluation.comparison.row import RESULT, read_result, write_result
from evaluation.report.history import training_folders
from evaluation.report.training import write_training_report
from reid.engine.machine.distributed import from_environment
from reid.engine.runs.run_folder import CONFIG, taken
from reid.errors import UserError
from supernet.catalog import spec_from_dict
from supernet.trained.checkpoint import SUPERNET
from tools.jobs.data import open_source
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.runs.moved import where_they_are
from tools.jobs.runs.provenance import made_by, sha256
from tools.jobs.runs.saved_config import read_saved
from tools.jobs.runs.supernets import inherited_run
from tools.jobs.training.finished import complete, is_finished
from tools.jobs.training.retrain import retrain
from tools.jobs.training.retrain_words import at_one_place
from tools.jobs.training.wanted import Retraining, network_to_train, training_config


def retrain_repeatedly(job: Job, what: Retraining, repeats: int) -> Path:
    """Trains with ``repeats`` seeds in subfolders ``seed-<n>``, writes the mean row and returns the folder.

    With ``job.resume``, finished seeds are kept and an interrupted one is resumed.

    Raises:
        UserError: the folder already holds runs and ``job.resume`` is not set, or they have another configuration, or
            seeds that the mean would leave out.
    """
    _check_seeds(job, repeats)
    runs, wanted, main = [], None, from_environment(job.device).is_main
    for seed in range(job.seed, job.seed + repeats):
        run = job.out / f"seed-{seed}"
        begun = (run / CONFIG).exists()
        if begun and not job.resume:
            raise taken(run)
        if is_finished(run):
            wanted = wanted or _wanted(job, what)
            _check_same(run, wanted)
            if main:
                complete(run)
        else:
            retrain(dataclasses.replace(job, out=run, seed=seed, resume=begun), what)
        runs.append(run)
    scored = (runs[0] / RESULT).exists()  # a data set without test images gives no score
    rows = at_one_place([read_result(run) for run in runs]) if scored else []
    row = dataclasses.replace(mean_row(rows), run=str(job.out)) if scored else None
    if main:
        if row:
            write_result(job.out, row)
        write_training_report(job.out, made_by())
        if row:
            print(comparison_table([row]))
    return job.out


def _check_seeds(job: Job, repeats: int) -> None:
    """Checks that the folder holds no other seeds: its page shows all of them, so the mean must cover all of them."""
    asked = {f"seed-{seed}" for seed in range(job.seed, job.seed + repeats)}
    there = [run for run in training_folders(job.out) if run != job.out and (run / CONFIG).exists()]
    if others := [run.name for run in there if run.name not in asked]:
        raise UserError(
            f"{shown(job.out)} also contains {', '.join(others)}, which --seed {job.seed} --repeats {repeats} would "
            "leave out of the mean; include them, or give another folder with --out"
        )


def _wanted(job: Job, what: Retraining) -> dict[str, Any]:
    """The configuration that all seeds share."""
    spec, _ = network_to_train(job, what)
    source = open_source(job.experiment.data, job.data, spec.input_size)
    supernet = inherited_run(what.weights)
    weights = supernet and supernet / SUPERNET
    # If the supernet is gone, networks trained from its weights still count.
    config = training_config(job, what, spec, source, sha256(weights) if weights and weights.is_file() else None)
    return _compared(yaml.safe_load(yaml.safe_dump(config)))  # tuples and lists are the same there


def _check_same(run: Path, wanted: dict[str, Any]) -> None:
    """Compares a finished run's configuration, since the run is not opened again. Keys that it lacks because earlier
    versions did not record them are ignored."""
    then = _compared({"weights": None, **where_they_are(read_saved(run / CONFIG), wanted)})
    for key, value in wanted.items():
        if key in then and then[key] != value:
            raise UserError(f"{run} was trained with another configuration ({key} differs); give another --out")


def _compared(config: dict[str, Any]) -> dict[str, Any]:
    """A training's configuration without the seed and the origin of its network."""
    kept = {key: value for key, value in config.items() if key != "seed"}
    if "network" in kept:
        kept["network"] = dataclasses.replace(spec_from_dict(kept["network"]), origin={})
    return kept
