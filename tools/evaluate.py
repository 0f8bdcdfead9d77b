"""Scores a checkpoint on a data set's official query and gallery.

Give the weights of a retrained network, or a supernet's weights with --arch: the arch then runs on the weights that it
inherits, its BN calibrated on training images.
"""

from __future__ import annotations

from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from tools.cli import add_search, job_parser, read_job, run_tool
from tools.jobs.evaluate import evaluate

OUT = "runs/evaluate-<name>"


def main(arguments: list[str] | None = None) -> None:
    parser = job_parser(__doc__, OUT)
    parser.add_argument(
        "checkpoint", type=Path, help="last.safetensors of a retrained network, or supernet.safetensors"
    )
    parser.add_argument("--arch", metavar="NAME", help="with a supernet: an arch's name or file, or largest, smallest")
    add_search(parser)
    read = parser.parse_args(arguments)
    name = read.checkpoint.parent.name
    if read.arch:
        # Not Path.stem at once: the name of an arch may have a dot (MLR-6.5M-A).
        name += f"-{Path(read.arch).stem if read.arch.endswith(('.yaml', '.yml')) else read.arch}"
    run = evaluate(read_job(read, f"runs/evaluate-{name}"), read.checkpoint, read.arch, read.search)
    print(f"result: {run}/result.json, every score in {run}/score.json")


if __name__ == "__main__":
    run_tool(main)
