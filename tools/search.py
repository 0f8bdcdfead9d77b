"""Searches a trained supernet for the archs that score best within limits on FLOPs, latency or parameters.

NNI drives the search in this process. Candidates are scored on identities that were held out of the supernet's
training. The best archs, or with --strategy pareto the knees of the front, are written as arch files that
tools/retrain.py takes by name. Under torchrun, the processes share the evaluations; the outcome is the same.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from evaluation.report.html import REPORT
from reid.engine.machine.distributed import from_environment
from reid.errors import UserError
from search.front import COSTS
from tools.cli import add_limits, job_parser, read_job, run_tool
from tools.jobs.job import next_command
from tools.jobs.paths import shown
from tools.jobs.search.explain import explain_search
from tools.jobs.search.job import search
from tools.jobs.search.options import with_options
from tools.jobs.search.result import print_result, score_words, write_more

OUT = "runs/search"

OF_A_SEARCH = ("flops", "latency", "params", "target", "supernet", "strategy", "front", "trials", "time")
OF_A_SEARCH += ("learn_from", "finalists")


def _parser() -> argparse.ArgumentParser:
    parser = job_parser(__doc__, OUT)
    add_limits(parser)
    parser.add_argument(
        "--supernet",
        type=Path,
        action="append",
        metavar="FOLDER",
        help="run of tools/train_supernet.py (default: runs/supernet); may be repeated: archs are then scored by the "
        "mean over the supernets",
    )
    parser.add_argument(
        "--strategy",
        choices=("evolution", "pareto", "random"),
        help="how candidates are chosen (default: evolution); pareto searches for the front of score and cost",
    )
    parser.add_argument(
        "--front",
        nargs="+",
        choices=tuple(COSTS),
        metavar="COST",
        help="costs that --strategy pareto trades off against the score: one or more of flops, latency (on --target), "
        "parameters (default: the config's, or else latency if there is a target, or else flops)",
    )
    parser.add_argument("--trials", type=int, metavar="N", help="total number of candidates (default: the config's)")
    parser.add_argument(
        "--time",
        metavar="TIME",
        help="stop starting new candidates after this time, for example 30m or 2h; without --trials, their number "
        "is unlimited",
    )
    parser.add_argument(
        "--learn-from",
        nargs="+",
        metavar="RUN",
        help="score by a predictor fitted to the archs trained in these runs of tools/rank.py (default: the config's)",
    )
    parser.add_argument(
        "--finalists",
        type=int,
        metavar="N",
        help="train the N best candidates and choose among them by their scores after that (default: the config's)",
    )
    parser.add_argument(
        "--write",
        type=int,
        nargs="+",
        metavar="TRIAL",
        help="only write arch files of these candidates of the finished search in --out",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="only report which choices affected the score in the search in --out",
    )
    return parser


def main(arguments: list[str] | None = None) -> None:
    read = _parser().parse_args(arguments)
    _check_options(read)
    job = read_job(read, OUT, only_reads=read.explain and not read.write)
    if read.write or read.explain:  # of an existing search: nothing is evaluated
        if read.write:
            write_more(job.out, read.write)
        if read.explain:
            explain_search(job.out)
        return
    job = with_options(
        job,
        flops=read.flops,
        latency=read.latency,
        parameters=read.params,
        target=read.target,
        front=read.front,
        trials=read.trials,
        time=read.time,
        learn_from=read.learn_from,
        finalists=read.finalists,
    )
    strategy = read.strategy or "evolution"
    result = search(job, read.supernet or [Path("runs/supernet")], strategy)
    if result is not None and from_environment(job.device).is_main:
        where = [] if job.out == Path(OUT) else ["--search", str(job.out)]
        what = score_words(job.experiment.search.learn_from)
        print_result(result, strategy, lambda arch: next_command("retrain", job, "--arch", arch, *where), what)
        print(f"report: {shown(result.out / REPORT)}")


def _check_options(read: argparse.Namespace) -> None:
    """Raises UserError for search options if no search is run."""
    asked = "--write" if read.write else "--explain"
    for name in OF_A_SEARCH if read.write or read.explain else ():
        if getattr(read, name) is not None:
            option = "--" + name.replace("_", "-")
            raise UserError(f"{option} is for a new search, but {asked} starts none; leave one of the two out")


if __name__ == "__main__":
    fewer = "--set search.eval_batch_size=32, also with --resume; in a new search search.calibration_batch_size=32 too"
    run_tool(main, less=f"give smaller batches ({fewer})")
