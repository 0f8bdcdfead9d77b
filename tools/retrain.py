"""Trains a network from scratch: a found arch, MobileNetV2, or a ResNet baseline; all by the same recipe.

--arch takes the name of an arch file (looked up in the search's archs, then in configs/archs), the path of one, or
resnet18, resnet34, resnet50. mobilenetv2 is an arch file too.
"""

from __future__ import annotations

from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from tools.cli import add_search, job_parser, read_job, run_tool
from tools.jobs.retrain import retrain

OUT = "runs/retrain-<arch>"


def main(arguments: list[str] | None = None) -> None:
    parser = job_parser(__doc__, OUT)
    parser.add_argument(
        "--arch", required=True, metavar="NAME", help="which network, for example MLR-210M-A or resnet18"
    )
    add_search(parser)
    read = parser.parse_args(arguments)
    name = Path(read.arch).stem if read.arch.endswith((".yaml", ".yml")) else read.arch
    run = retrain(read_job(read, f"runs/retrain-{name}"), read.arch, read.search)
    print(f"weights: {run}/last.safetensors; next: python tools/compare.py {run} ...")


if __name__ == "__main__":
    run_tool(main)
