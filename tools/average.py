"""Makes one network of several trainings of it: the mean of their weights ("model soup"), scored on the test set.

python tools/average.py runs/one runs/two runs/three --out runs/mean

For trainings that have most of their way in common: ends of one training by other seeds (retrain.py --cool-down RUN
--seed N), or trainings from the same weights. Networks that were trained apart have no mean that is worth anything.
A network of the zoo may be one of them, by its name: the one that a training went on from, say.
Nothing is chosen: all that are named are in it. BN's statistics are measured anew on training images. The data are
those of the trainings; --data says where they are by now.
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
        "runs", nargs="+", metavar="RUN", help="run folders of tools/retrain.py; the zoo's names beside them"
    )
    read = parser.parse_args(arguments)
    run = average(read_job(read, OUT), read.runs)
    print(f"weights: {run / WEIGHTS}; result: {run / RESULT}; report: {run / REPORT}")


if __name__ == "__main__":
    run_tool(main, again="give the command again")
