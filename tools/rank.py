"""Tests whether a supernet ranks archs as stand-alone training does, which every search takes for granted.

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
    parser.add_argument("--n", type=int, metavar="N", help="how many archs are drawn (default: 20)")
    parser.add_argument("--band", metavar="FLOPS", help="draw archs around so many FLOPs (default: the whole space)")
    parser.add_argument(
        "--within", type=float, metavar="SHARE", help="how far from --band, as a share of it (default: 0.05)"
    )
    parser.add_argument(
        "--archs", type=Path, nargs="+", default=(), metavar="PATH", help="rank these arch files, or folders of them"
    )
    parser.add_argument(
        "--repeats", type=int, default=2, metavar="R", help="seeds that each arch is trained with (default: 2)"
    )
    parser.add_argument(
        "--alone",
        type=Path,
        metavar="FOLDER",
        help="where stand-alone runs named <arch>-s<seed> are, and missing ones go (default: alone/ in --out)",
    )
    parser.add_argument(
        "--finetune-epochs",
        type=int,
        metavar="N",
        help="rank also by what each supernet has for each arch, trained on for N epochs (default: leave it out)",
    )
    parser.add_argument(
        "--learn-from",
        type=Path,
        nargs="+",
        default=(),
        metavar="PATH",
        help="rankings of other archs: rank by what is learnt from their trainings too, as a search that learns does",
    )
    parser.add_argument("--no-train", action="store_true", help="train nothing: rank the archs with finished runs")
    return parser


def main(arguments: list[str] | None = None) -> None:
    read = _parser().parse_args(arguments)
    for option, value in (("--band", read.band), ("--n", read.n)):
        if read.archs and value is not None:
            raise UserError(f"--archs names the archs and {option} draws some: give one of the two")
    if read.within is not None and read.band is None:
        raise UserError("--within is how far from --band archs may be: give --band too")
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
