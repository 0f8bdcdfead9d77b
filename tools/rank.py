"""Tests whether a supernet ranks archs as stand-alone training does, an assumption that every search makes.

Archs spread evenly over the space's FLOPs (or over a band of them) are trained alone by the config's retraining recipe,
with several seeds. Their scores are compared with those of the same archs on a trained supernet's weights, and with a
ranking by FLOPs alone. Finished trainings are kept: run the same command with --resume to continue.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from evaluation.report.html import REPORT
from reid.errors import UserError
from tools.cli import job_parser, read_job, run_tool
from tools.jobs.paths import check_folder, shown
from tools.jobs.proofs.rank import Asked, rank
from tools.jobs.proofs.rank_result import PICTURE

OUT = "runs/rank"


def _parser() -> argparse.ArgumentParser:
    parser = job_parser(__doc__, OUT)
    parser.add_argument(
        "--supernet",
        type=Path,
        action="append",
        metavar="FOLDER",
        help="run of tools/train_supernet.py; may be repeated to compare several (default: runs/supernet)",
    )
    parser.add_argument("--n", type=int, metavar="N", help="number of archs to draw (default: 20)")
    parser.add_argument(
        "--band", metavar="FLOPS", help="draw archs of about these FLOPs, for example 210M (default: the whole space)"
    )
    parser.add_argument(
        "--within",
        type=float,
        metavar="SHARE",
        help="largest distance from --band, as a fraction of it (default: 0.05)",
    )
    parser.add_argument(
        "--archs",
        type=Path,
        nargs="+",
        default=(),
        metavar="PATH",
        help="rank these arch files, or folders of them, instead of drawing archs",
    )
    parser.add_argument("--repeats", type=int, default=2, metavar="R", help="number of seeds per arch (default: 2)")
    parser.add_argument(
        "--alone",
        type=Path,
        metavar="FOLDER",
        help="folder of the stand-alone trainings, <arch>-s<seed>; missing ones are added (default: alone/ in --out)",
    )
    parser.add_argument(
        "--finetune-epochs",
        type=int,
        metavar="N",
        help="also rank by training each arch for N epochs from each supernet's weights (default: no)",
    )
    parser.add_argument(
        "--learn-from",
        type=Path,
        nargs="+",
        default=(),
        metavar="PATH",
        help="also rank by a predictor fitted to these rankings of other archs, as tools/search.py --learn-from does",
    )
    parser.add_argument(
        "--no-train", action="store_true", help="train nothing; rank only archs that have finished runs"
    )
    return parser


def main(arguments: list[str] | None = None) -> None:
    read = _parser().parse_args(arguments)
    for option, value in (("--band", read.band), ("--n", read.n)):
        if read.archs and value is not None:
            raise UserError(f"--archs names the archs, and {option} is for drawing some; give one of the two")
    if read.within is not None and read.band is None:
        raise UserError("--within sets how far archs may be from --band; give --band too")
    if read.alone is not None:
        check_folder(read.alone, "--alone")
    asked = Asked(
        supernets=tuple(dict.fromkeys(read.supernet or [Path("runs/supernet")])),
        archs=read.archs,
        count=20 if read.n is None else read.n,
        band=read.band,
        within=0.05 if read.within is None else read.within,
        repeats=read.repeats,
        alone=read.alone,
        train=not read.no_train,
        finetune_epochs=read.finetune_epochs,
        learn_from=read.learn_from,
    )
    path = rank(read_job(read, OUT), asked)
    print(f"ranking: {shown(path)}, picture: {shown(path.with_name(PICTURE))}")
    print(f"report: {shown(path.with_name(REPORT))}")


if __name__ == "__main__":
    run_tool(main, less="give smaller batches (--set retrain.identities=8 --set search.eval_batch_size=32)")
