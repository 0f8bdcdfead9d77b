"""Separates the gain of a search from what its space and the recipe provide anyway.

The archs that a finished search found, random archs of the same space and FLOPs, and baselines are trained from scratch
with the same recipe and seeds, and scored on the test set. Finished trainings are kept: run the same command with
--resume to continue.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from evaluation.report.html import REPORT
from reid.errors import UserError
from tools.cli import job_parser, read_job, run_tool
from tools.jobs.job import Job
from tools.jobs.paths import check_folder, shown
from tools.jobs.proofs.gain import Asked, gain
from tools.jobs.proofs.gain_result import PICTURE

OUT = "runs/gain"


def _parser() -> argparse.ArgumentParser:
    parser = job_parser(__doc__, OUT)
    parser.add_argument(
        "--search",
        type=Path,
        default=Path("runs/search"),
        metavar="FOLDER",
        help="finished run of tools/search.py (default: runs/search)",
    )
    parser.add_argument(
        "--archs",
        type=int,
        default=1,
        metavar="N",
        help="number of the search's archs to train, best first (default: 1)",
    )
    parser.add_argument(
        "--random",
        type=int,
        metavar="N",
        help="number of random archs to draw, within 5 %% of the best found arch's FLOPs (default: 3)",
    )
    parser.add_argument(
        "--random-archs",
        type=Path,
        nargs="+",
        default=(),
        metavar="PATH",
        help="use these arch files, or folders of them, as the random archs, for example those of tools/rank.py --band",
    )
    parser.add_argument("--repeats", type=int, default=3, metavar="R", help="number of seeds per network (default: 3)")
    parser.add_argument(
        "--random-repeats",
        type=int,
        metavar="R",
        help="number of seeds per random arch; many archs with one seed tell more than few with several (default: "
        "--repeats)",
    )
    parser.add_argument(
        "--baselines",
        nargs="*",
        default=["mobilenetv2"],
        metavar="NAME",
        help="networks to train for comparison (default: mobilenetv2)",
    )
    parser.add_argument(
        "--recipes",
        metavar="A,B",
        help="train all networks with each of these recipes, named or as paths (default: the config's recipe)",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="number of epochs; the recipes' schedules are scaled to it (default: each recipe's own)",
    )
    parser.add_argument(
        "--alone",
        type=Path,
        metavar="FOLDER",
        help="folder of the trainings, named <network>-s<seed>; missing ones are added (default: alone/ in --out)",
    )
    parser.add_argument(
        "--ways",
        action="store_true",
        help="also score and train found archs with the weights that they inherit from a supernet",
    )
    parser.add_argument(
        "--supernet",
        type=Path,
        metavar="FOLDER",
        help="with --ways: run of tools/train_supernet.py (default: runs/supernet)",
    )
    parser.add_argument(
        "--finetune-epochs",
        type=int,
        metavar="N",
        help="with --ways: number of epochs from inherited weights (default: a quarter of the recipe's)",
    )
    return parser


def main(arguments: list[str] | None = None) -> None:
    read = _parser().parse_args(arguments)
    if not read.ways and (read.supernet is not None or read.finetune_epochs is not None):
        raise UserError("--supernet and --finetune-epochs need --ways; give --ways too")
    if read.random_archs and read.random is not None:
        raise UserError("--random-archs names the random archs, and --random draws some; give one of the two")
    if read.alone is not None:
        check_folder(read.alone, "--alone")
    asked = Asked(
        search=read.search,
        archs=read.archs,
        random=3 if read.random is None else read.random,
        random_archs=read.random_archs,
        repeats=read.repeats,
        random_repeats=read.random_repeats,
        baselines=read.baselines,
        alone=read.alone,
        supernet=(read.supernet or Path("runs/supernet")) if read.ways else None,
        finetune_epochs=read.finetune_epochs,
    )
    path = gain(_jobs(read), asked)
    print(f"gains: {shown(path)}, picture: {shown(path.with_name(PICTURE))}")
    print(f"report: {shown(path.with_name(REPORT))}")


def _jobs(read: argparse.Namespace) -> dict[str, Job]:
    """A job for each recipe, by its name; without ``--recipes``, one job with the config's recipe."""
    jobs = {}
    for recipe in read.recipes.split(",") if read.recipes else [None]:
        read.recipe = recipe
        name = Path(recipe).stem if recipe else ""
        if name in jobs:
            raise UserError(f"--recipes {read.recipes}: {name} is named twice; give each recipe once")
        jobs[name] = read_job(read, OUT)
    return jobs


if __name__ == "__main__":
    run_tool(main, less="give smaller batches (--set retrain.identities=8)")
