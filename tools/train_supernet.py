"""Trains the weight-sharing supernet of a search space.

On several GPUs: torchrun --nproc_per_node 4 tools/train_supernet.py
"""

from __future__ import annotations

from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from reid.engine.machine.distributed import from_environment
from supernet.trained.checkpoint import SUPERNET
from tools.cli import job_parser, read_job, run_tool
from tools.jobs.job import next_command
from tools.jobs.training.ending import tell_training
from tools.jobs.training.train_supernet import train_supernet

OUT = "runs/supernet"


def main(arguments: list[str] | None = None) -> None:
    parser = job_parser(__doc__, OUT)
    parser.add_argument(
        "--epochs",
        dest="supernet_epochs",
        type=int,
        metavar="N",
        help="number of epochs; the recipe's schedule is scaled to it (default: the recipe's own)",
    )
    job = read_job(parser.parse_args(arguments), OUT)
    run = train_supernet(job)
    if from_environment(job.device).is_main:
        where = [] if run == Path(OUT) else ["--supernet", str(run)]
        limits = [] if job.experiment.search.flops is None else ["--flops", str(job.experiment.search.flops)]
        tell_training(run, f"supernet: {run / SUPERNET}", next_command("search", job, *where, *limits))


if __name__ == "__main__":
    run_tool(main, less="give smaller batches (--set supernet.recipe.identities=8)")
