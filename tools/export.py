"""Writes a trained network as an .onnx file, checks it against PyTorch, and reports its cost.

python tools/export.py runs/retrain-MLR-210M-A                          a run, or its last.safetensors
python tools/export.py NAME --preprocess                                a network of the zoo; pixels in, features out
python tools/export.py RUN --int8 --score --beside mobilenetv2          quantised too, both scored, next to a baseline

The file has the input "images", with a dynamic batch size, and the output "embedding". The data set is the run's, or
the config's for weights without a run. docs/export.md shows how to call the file.
"""

from __future__ import annotations

from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from tools.cli import job_parser, read_job, run_tool
from tools.jobs.evaluate.checkpoints import run_name
from tools.jobs.export.job import Request, export
from tools.jobs.export.report import PAGE
from tools.jobs.paths import shown

OUT = "runs/export-<name>"


def main(arguments: list[str] | None = None) -> None:
    parser = job_parser(__doc__, OUT, anew=True)
    parser.add_argument("source", metavar="SOURCE", help="run folder, .safetensors file, or a name of the zoo")
    parser.add_argument(
        "--preprocess",
        action="store_true",
        help="include the normalisation in the file: its input is then uint8 RGB pixels (N, height, width, 3)",
    )
    parser.add_argument(
        "--int8", action="store_true", help="also write NAME-int8.onnx, quantised with training images of the data set"
    )
    parser.add_argument(
        "--score", action="store_true", help="score each file on the data set's query and gallery: mAP, Rank-1"
    )
    parser.add_argument(
        "--beside",
        nargs="+",
        default=[],
        metavar="NAME",
        help="networks to time in turn with it, with random weights and at its input size: mobilenetv2, resnet18, ...",
    )
    read = parser.parse_args(arguments)
    job = read_job(read, f"runs/export-{run_name(Path(read.source), None, None)}")
    told = export(job, read.source, Request(read.preprocess, read.int8, read.score, tuple(read.beside)))
    print(f"files: {shown(job.out)}; the table as JSON: {shown(told)}")
    print(f"report: {shown(told.with_suffix(PAGE))}")


if __name__ == "__main__":
    run_tool(main, again="run the command again with --replace")
