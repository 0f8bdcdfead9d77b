"""Runs the whole experiment of a plan: supernets, searches, rows, an ablation ladder, rankings, latencies, one table.

Each step runs its own tool in a separate process with its own log, --jobs of them in parallel. With --minutes the
command ends after that time; run again, it continues until all is done. docs/plans.md explains how to write a plan.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

if importlib.util.find_spec("fvcore") is None:  # all tools import it, to count FLOPs
    print("error: fvcore is not installed: pip install fvcore", file=sys.stderr)
    sys.exit(2)

from reid.errors import UserError  # noqa: E402
from tools.cli import add_device, check_one_process, run_tool  # noqa: E402
from tools.jobs.paths import check_folder, shown  # noqa: E402
from tools.jobs.results.job import Ask, run_results  # noqa: E402
from tools.jobs.results.latency import measure_latencies  # noqa: E402
from tools.jobs.results.plan.file import find_plan, load_plan  # noqa: E402
from tools.jobs.results.plan.setup import Setup  # noqa: E402
from tools.jobs.results.plan.steps import Places  # noqa: E402
from tools.jobs.results.status import print_status  # noqa: E402
from tools.jobs.results.written.publish import publish  # noqa: E402
from tools.typed import tool_parser  # noqa: E402

OUT = "runs/results/<plan>"


def main(arguments: list[str] | None = None) -> None:
    parser = tool_parser(__doc__)
    parser.add_argument(
        "--plan", type=Path, required=True, metavar="FILE", help="plan file, or its name under configs/results"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=f"folder for all output (default: {OUT})")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of the data set, as for the other tools")
    add_device(parser)
    parser.add_argument(
        "--minutes", type=float, metavar="M", help="stop after this many minutes (default: when all is done)"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="number of steps to run in parallel (default: 1)"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        help="run only these steps or rows, and what they depend on (default: all)",
    )
    parser.add_argument("--status", action="store_true", help="show the progress of every step, and do nothing else")
    parser.add_argument(
        "--publish",
        type=Path,
        metavar="FOLDER",
        help="write table, picture and logs to this folder, and do nothing else",
    )
    parser.add_argument("--step", choices=("latency",), help="run this step in this process, and nothing else")
    read = parser.parse_args(arguments)
    _check_options(read)
    check_one_process()  # its steps would also think that they are one of several processes
    read.plan = find_plan(read.plan)
    places = Places(read.out or Path("runs/results") / read.plan.stem)
    if not (read.status or read.publish):  # they read there
        check_folder(places.out)
    if read.publish:
        check_folder(read.publish, "--publish")
    setup = Setup(load_plan(read.plan), read.plan, places, read.data, read.device)
    if read.status:
        print_status(setup, read.only)
    elif read.publish:
        print(f"published: {shown(publish(setup, read.publish))}")
    elif read.step:
        print(f"latencies: {shown(measure_latencies(setup))}")
    else:
        code = run_results(setup, Ask(read.minutes, read.jobs, read.only))
        if code:
            sys.exit(code)


def _check_options(read: argparse.Namespace) -> None:
    """Raises UserError if two options are given of which each does nothing else.

    ``--jobs``, ``--minutes`` and ``--only`` may accompany them: users often repeat a command with one more option.
    """
    alone = [option for option in ("status", "publish", "step") if getattr(read, option)]
    if len(alone) > 1:
        raise UserError(f"--{alone[0]} and --{alone[1]}: each excludes the other; give one of the two")


if __name__ == "__main__":
    run_tool(main, again="run the same command to continue", less="run fewer steps side by side (--jobs 1)")
