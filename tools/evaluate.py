"""Scores a network, or saved features, on a data set's query and gallery: mAP, CMC, mINP, ROC, a threshold.

SOURCE is a run folder or its last.safetensors; a network of the zoo by its name (tools/zoo.py lists them); an .onnx
file; a feature file (.npz); or a supernet's weights with --arch: the arch then uses the weights it inherits, with its
BN calibrated on training images.

Features are kept under data/cache/features, so evaluating the same network again does not run it again.
docs/evaluation.md explains how everything is computed.
"""

from __future__ import annotations

from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from evaluation.report.html import REPORT
from tools.cli import add_search, job_parser, read_job, run_tool
from tools.jobs.evaluate.checkpoints import run_name
from tools.jobs.evaluate.job import Request, evaluate
from tools.jobs.evaluate.protocol_options import add_protocol, read_protocol
from tools.jobs.runs.data import on_its_data

OUT = "runs/evaluate-<name>"


def main(arguments: list[str] | None = None) -> None:
    parser = job_parser(__doc__, OUT, anew=True)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="what to evaluate: see above")
    parser.add_argument("--arch", metavar="NAME", help="with a supernet: an arch's name or file, largest, or smallest")
    add_search(parser)
    parser.add_argument(
        "--dataset", metavar="NAME", help="evaluate on this data set instead of the config's: NAME or NAME=FOLDER"
    )
    parser.add_argument(
        "--split",
        metavar="N",
        help="for a data set that has several splits: the number of one, or all for their mean; refused if the network "
        "was trained on persons tested there (train a network on each split instead)",
    )
    add_protocol(parser)
    parser.add_argument(
        "--calibrate",
        default="auto",
        metavar="ON",
        help="what to set the threshold on: holdout (identities held out of the training), test-half (every other test "
        "identity), a feature file (.npz), or none; auto is holdout if the run shows that the network never saw "
        "those identities, else test-half (default: auto)",
    )
    parser.add_argument(
        "--save-features",
        type=Path,
        metavar="FILE",
        help="also write the features to this .npz file; overwriting one needs --replace",
    )
    parser.add_argument(
        "--projector", action="store_true", help="write gallery features for TensorBoard's projector, without images"
    )
    read = parser.parse_args(arguments)
    request = Request(read_protocol(read), read.dataset, read.split, read.calibrate, read.save_features, read.projector)
    job = read_job(read, f"runs/evaluate-{run_name(read.source, read.arch, read.dataset)}")
    run = evaluate(on_its_data(job, read.source), read.source, read.arch, read.search, request)
    row = f"{run}/result.json, " if (run / "result.json").exists() else ""
    print(f"result: {row}every score in {run}/score.json; report: {run}/{REPORT}")


if __name__ == "__main__":
    run_tool(main, again="run the command again")
