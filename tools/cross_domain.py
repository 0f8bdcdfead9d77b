"""Scores several networks on several data sets, in one matrix (trained on A, evaluated on B).

RUN is a run folder with last.safetensors, such a file, a name of the zoo, or an .onnx file. Data sets that are not
available are left out, and the matrix says why. A data set that a RUN was trained on is read as in that training
(split, share, seed). Features are kept under data/cache/features.
"""

from __future__ import annotations

from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from evaluation.report.html import REPORT
from tools.cli import job_parser, read_job, run_tool
from tools.jobs.evaluate.cross_domain import cross_domain
from tools.jobs.evaluate.protocol_options import add_retrieval, read_retrieval

OUT = "runs/cross-domain"


def main(arguments: list[str] | None = None) -> None:
    parser = job_parser(__doc__, OUT, anew=True)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="networks (rows)")
    parser.add_argument(
        "--datasets",
        nargs="+",
        required=True,
        metavar="NAME",
        help="data sets (columns): NAME or NAME=FOLDER, for example market1501 msmt17 market-layout=/data/other",
    )
    add_retrieval(parser)
    read = parser.parse_args(arguments)
    matrix = cross_domain(read_job(read, OUT), read.runs, read.datasets, read_retrieval(read))
    print(f"matrix: {matrix}, every score in {matrix.parent}/matrix.json; report: {matrix.parent}/{REPORT}")


if __name__ == "__main__":
    run_tool(main, again="run the command again")
