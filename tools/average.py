"""Averages the weights of several trainings of one network ("model soup") and scores the result on the test set.

python tools/average.py runs/one runs/two runs/three --out runs/mean

Use it for trainings that share most of their history: several endings of one training with different seeds
(retrain.py --cool-down RUN --seed N), or trainings that started from the same weights. Averaging networks that were
trained independently is useless. A zoo network may be included by name, for example the one that a training started
from. Every network named is averaged; none is left out. BN statistics are measured again on training images. The data
set is that of the trainings; --data says where it is if it has moved.
"""

from __future__ import annotations

import _root  # noqa: F401  (first: it mends the import path)

from evaluation.comparison.row import RESULT
from evaluation.report.html import REPORT
from reid.engine.runs.run_folder import WEIGHTS
from tools.cli import job_parser, read_job, run_tool
from tools.jobs.training.average import average

OUT = "runs/average"


def main(arguments: list[str] | None = None) -> None:
    parser = job_parser(__doc__, OUT, anew=True)
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="run folders of tools/retrain.py, and names of zoo networks"
    )
    read = parser.parse_args(arguments)
    run = average(read_job(read, OUT), read.runs)
    print(f"weights: {run / WEIGHTS}; result: {run / RESULT}; report: {run / REPORT}")


if __name__ == "__main__":
    run_tool(main, again="run the command again")
