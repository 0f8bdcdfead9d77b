"""The whole way in one command: supernet, search, retraining of the best arch and of the baselines, one table.

With --resume, finished steps are skipped and an interrupted one goes on.
"""

from __future__ import annotations

import _root  # noqa: F401  (first: it mends the import path)

from tools.cli import job_parser, read_job, run_tool
from tools.jobs.pipeline import pipeline

OUT = "runs/pipeline"


def main(arguments: list[str] | None = None) -> None:
    parser = job_parser(__doc__, OUT)
    parser.add_argument("--flops", metavar="LIMIT", help="upper limit, for example 210M (default: the config's)")
    parser.add_argument(
        "--baselines",
        nargs="*",
        default=["mobilenetv2", "resnet18"],
        metavar="NAME",
        help="networks retrained beside the found arch (default: mobilenetv2 resnet18)",
    )
    read = parser.parse_args(arguments)
    print(f"report: {pipeline(read_job(read, OUT), read.flops, read.baselines)}")


if __name__ == "__main__":
    run_tool(main)
