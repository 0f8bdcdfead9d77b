"""The job of ``tools/pipeline.py``: every other job in turn, in one folder."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from evaluation.result_row import RESULT
from reid.config import config_to_dict
from reid.engine.distributed import from_environment
from reid.engine.run_folder import CONFIG, open_run
from reid.errors import UserError
from reid.files import read_json
from search.limits import Limits
from search.settings import check_strategy
from supernet.catalog import find_network
from supernet.files import load_space
from tools.cli import Job
from tools.jobs.compare import compare
from tools.jobs.evaluate import evaluate
from tools.jobs.experiment import Experiment
from tools.jobs.opening import format_time
from tools.jobs.retrain import Retraining, retrain
from tools.jobs.search import check_limits, search, with_options
from tools.jobs.train_supernet import WEIGHTS, train_supernet

STRATEGY = "evolution"
"""Of the search: it is one arch that goes on from it."""


def pipeline(job: Job, flops: str | None, baselines: Sequence[str]) -> Path:
    """Supernet, search, the best arch retrained, ``baselines`` retrained, all compared; returns the report's path.

    Two rows of the table are not retrained: the largest arch and the found one on the supernet's own weights. They say
    what the supernet gives by itself.

    Raises:
        UserError: it was started by torchrun; there is a pipeline in the folder already and ``job.resume`` is not set,
            or it was begun with another configuration; or what a step raises.
    """
    if from_environment(job.device).several:
        raise UserError("tools/pipeline.py: is run by one process; its steps can be run under torchrun one by one")
    wanted = with_options(job, flops=flops)
    limits = _check(wanted.experiment, baselines)
    about = {"seed": job.seed, **limits.given(), "experiment": config_to_dict(job.experiment)}
    out = open_run(job.out, about, job.resume)
    start = time.monotonic()
    if not (out / "supernet" / WEIGHTS).exists():
        _title(1, "supernet", start)
        train_supernet(_step(job, out / "supernet"))
    if not _search_is_done(out / "search"):
        _title(2, "search", start)
        begun = (out / "search" / "search.json").exists()
        search(dataclasses.replace(wanted, out=out / "search", resume=begun), out / "supernet", STRATEGY)
    best = Path(read_json(out / "search" / "search.json")["best"][0]["file"]).stem

    _title(3, "networks by one recipe", start)
    rows = []
    for name in (best, *baselines):
        run = out / f"retrain-{name}"
        if not (run / RESULT).exists():
            retrain(_step(job, run), Retraining(name, out / "search"))
        rows.append(run)
    for name in (best, "largest"):
        run = out / f"inherited-{name}"
        if not (run / RESULT).exists():
            own = dataclasses.replace(job, out=run, resume=True)  # it may have been ended between score and result
            evaluate(own, out / "supernet" / WEIGHTS, name, out / "search")
        rows.append(run)

    _title(4, "comparison", start)
    return compare(rows, out / "search", out / "compare")


def _check(experiment: Experiment, baselines: Sequence[str]) -> Limits:
    """Ends here, and not after hours, what a later step would refuse; returns the limits."""
    space = load_space(experiment.space).at(experiment.input_size)
    check_strategy(STRATEGY, experiment.search)
    limits = check_limits(space, experiment.search, called=experiment.space)
    for name in baselines:
        find_network(name, [], experiment.input_size, space.input_size, experiment.last_stride)
    return limits


def _step(job: Job, run: Path) -> Job:
    """The job of one step: an interrupted one goes on."""
    return dataclasses.replace(job, out=run, resume=(run / CONFIG).exists())


def _search_is_done(run: Path) -> bool:
    summary = run / "search.json"
    return summary.exists() and read_json(summary).get("finished", False)


def _title(number: int, name: str, start: float) -> None:
    print(f"\n== {number}/4 {name} ({format_time(time.monotonic() - start)} so far) ==", flush=True)
