"""Runs everything in one command: supernet, search, retraining of the best arch and the baselines, comparison.

With --resume, finished steps are skipped and an interrupted step continues.
"""

from __future__ import annotations

import _root  # noqa: F401  (first: it mends the import path)

from tools.cli import add_limits, job_parser, read_job, run_tool
from tools.jobs.pipeline import Asked, pipeline

OUT = "runs/pipeline"


def main(arguments: list[str] | None = None) -> None:
    parser = job_parser(__doc__, OUT)
    add_limits(parser)
    parser.add_argument(
        "--baselines",
        nargs="*",
        default=["mobilenetv2", "resnet18"],
        metavar="NAME",
        help="networks to retrain for comparison: backbones, archs of configs/archs by name, or arch files "
        "(default: mobilenetv2 resnet18)",
    )
    parser.add_argument(
        "--finetune-epochs",
        type=int,
        metavar="N",
        help="also train the found arch for N epochs from the supernet's weights, and compare that (default: no)",
    )
    read = parser.parse_args(arguments)
    asked = Asked(read.baselines, read.flops, read.latency, read.params, read.target, read.finetune_epochs)
    print(f"report: {pipeline(read_job(read, OUT), asked)}")


if __name__ == "__main__":
    run_tool(main, less="give smaller batches (--set supernet.recipe.identities=8 --set retrain.identities=8)")
