"""Puts the results of several runs into one table and a report page with a picture of accuracy against FLOPs.

Latency is measured again for all runs in turn, so that its values are comparable.
"""

from __future__ import annotations

from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from tools.cli import run_tool
from tools.jobs.compare import compare
from tools.jobs.paths import check_folder
from tools.typed import tool_parser


def main(arguments: list[str] | None = None) -> None:
    parser = tool_parser(__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders with a result.json")
    parser.add_argument("--search", type=Path, metavar="FOLDER", help="search run whose candidates the report shows")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/compare"),
        metavar="FOLDER",
        help="folder for the report (default: runs/compare)",
    )
    parser.add_argument(
        "--no-latency",
        action="store_true",
        help="keep the latencies stored in the runs instead of measuring all of them in turn",
    )
    read = parser.parse_args(arguments)
    check_folder(read.out)
    print(f"report: {compare(read.runs, read.search, read.out, measure=not read.no_latency)}")


if __name__ == "__main__":
    run_tool(main, again="run the command again", less="leave latency out with --no-latency")
