"""Describes networks and their cost: a table of blocks, FLOPs by all three counts, parameters, latency.

python tools/describe.py MLR-210M-C                                block by block, and a picture
python tools/describe.py MLR-210M-C mobilenetv2 osnet_x0_5 --target onnx-cpu-1t
                                                                   side by side, measured here
python tools/describe.py --space osnet-like                        the choices open to a search, and their cost

NAME is the name of a network (the zoo's included), an arch file, a run folder or a weights file. Nothing is trained,
and no data set is needed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from reid.errors import UserError
from search.latency import parse_target
from supernet.files import load_space
from tools.cli import add_search, check_seed, run_tool
from tools.jobs.describe import (
    describe_networks,
    describe_space,
    draw,
    find_described,
    networks_table,
    open_stride,
    told_apart,
    units_table,
)
from tools.jobs.paths import check_folder, shown
from tools.size_option import add_size
from tools.typed import tool_parser

OUT = Path("runs/describe")
SIZE = (256, 128)
"""Input size of networks that do not specify one."""


def main(arguments: list[str] | None = None) -> None:
    parser = tool_parser(__doc__)
    parser.add_argument("networks", nargs="*", metavar="NAME", help="networks to describe: see above")
    parser.add_argument("--space", metavar="NAME", help="describe a search space, by name or file, instead of networks")
    add_size(parser, "input size, also for trained networks (default: the network's own)")
    parser.add_argument(
        "--last-stride", type=int, choices=(1, 2), help="last stride of backbones that leave it open (default: 2)"
    )
    parser.add_argument(
        "--target", metavar="NAME", help="also measure latency on this target: onnx-cpu-1t, torch-cpu-1t, ..."
    )
    parser.add_argument("--seed", type=int, help="with --space: random seed of the archs that are drawn (default: 0)")
    add_search(parser)
    parser.add_argument(
        "--out", type=Path, default=OUT, metavar="FOLDER", help=f"folder for the pictures (default: {OUT})"
    )
    read = parser.parse_args(arguments)
    if bool(read.networks) == (read.space is not None):
        raise UserError("name either networks, or a space with --space NAME")
    check_seed(read.seed)
    _check_options(read)
    if read.space is not None:
        print(describe_space(load_space(read.space).at(read.size), read.seed or 0))
        return
    check_folder(read.out)
    target = read.target and parse_target(read.target)
    folders = [read.search / "archs"]
    specs = [find_described(name, folders, read.size, SIZE, read.last_stride) for name in read.networks]
    if read.last_stride is not None and all(open_stride(spec) is None for spec in specs):
        raise UserError(
            f"--last-stride {read.last_stride}: it cannot be chosen for any of these networks; leave it out"
        )
    rows = describe_networks(told_apart(specs), target)
    if len(rows) == 1:
        print(f"{units_table(rows[0])}\n")
    print(networks_table(rows, target))
    for picture in draw(rows, read.out):
        print(f"picture: {shown(picture)}")


def _check_options(read: argparse.Namespace) -> None:
    """Raises UserError for an option that would have no effect."""
    of_networks = (("--target", read.target), ("--last-stride", read.last_stride))
    for option, given in of_networks if read.space is not None else (("--seed", read.seed),):
        if given is not None:
            whose = "networks, not of a space" if read.space is not None else "a space, not of networks"
            raise UserError(f"{option} {given}: is only for {whose}; leave it out")


if __name__ == "__main__":
    run_tool(main, again="run the command again", less="give a smaller --size")
