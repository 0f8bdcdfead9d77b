"""Searches a trained supernet for the archs that score best within a FLOPs limit.

NNI drives the search in this process. Candidates are scored on identities that were held out of the supernet's
training. The best archs are written as arch files that tools/retrain.py takes by name.
"""

from __future__ import annotations

from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from tools.cli import job_parser, read_job, run_tool
from tools.jobs.opening import shown
from tools.jobs.search import search

OUT = "runs/search"


def main(arguments: list[str] | None = None) -> None:
    parser = job_parser(__doc__, OUT)
    parser.add_argument(
        "--flops", metavar="LIMIT", help="upper limit by fvcore's count, for example 210M (default: the config's)"
    )
    parser.add_argument(
        "--supernet", type=Path, default=Path("runs/supernet"), metavar="FOLDER", help="run of tools/train_supernet.py"
    )
    parser.add_argument(
        "--strategy",
        choices=("evolution", "random"),
        default="evolution",
        help="how candidates are drawn (default: evolution)",
    )
    read = parser.parse_args(arguments)
    result = search(read_job(read, OUT), read.supernet, read.flops, read.strategy)
    for note in result.notes:
        print(f"note: {note}")
    for path, candidate in zip(result.archs, result.best, strict=True):
        print(
            f"{path.stem}: {candidate.flops / 1e6:.1f}M FLOPs, held-out mAP {100 * candidate.score:.1f} %, "
            f"{shown(path)}"
        )
    print(f"front: {result.out}/front.json; next: python tools/retrain.py --arch {result.archs[0].stem}")


if __name__ == "__main__":
    run_tool(main)
