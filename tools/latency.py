"""Measures the latency table of a space for a target, and the error of its predictions on whole networks.

Targets: onnx-cpu-<threads>t, torch-cpu-<threads>t, torch-cuda-b<batch>. Tables are kept under data/cache/latency, where
tools/search.py finds them; an interrupted measurement continues where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from reid.errors import UserError
from supernet.files import load_space
from supernet.space import Space
from tools.cli import add_replace, check_one_process, check_seed, run_tool
from tools.jobs.experiment import DEFAULT_CONFIG, load_experiment
from tools.jobs.latency.job import measure_space
from tools.jobs.latency.kit import import_kit, make_kit, next_search
from tools.jobs.paths import check_folder, shown
from tools.size_option import add_size
from tools.typed import tool_parser

OUT = "runs/latency-<space>-<target>"
TARGET, NETWORKS = "onnx-cpu-1t", 30
MOST = 1000
"""Upper limit on whole networks: they are timed in turn, so all are in memory at once."""


def main(arguments: list[str] | None = None) -> None:
    parser = tool_parser(__doc__)
    parser.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_CONFIG,
        metavar="FILE",
        help="experiment whose space and input size are used (default: configs/market1501.yaml)",
    )
    parser.add_argument(
        "--space", metavar="NAME", help="use this space instead, by name or file, at its own input size"
    )
    parser.add_argument("--target", metavar="NAME", help=f"target to measure on, see above (default: {TARGET})")
    parser.add_argument(
        "--networks",
        type=_several,
        metavar="N",
        help=f"number of whole networks to test predictions on (default: {NETWORKS})",
    )
    parser.add_argument("--seed", type=int, help="random seed of these networks (default: 0)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=f"folder for picture and report (default: {OUT})")
    add_replace(parser)
    add_size(parser, "input size, for example 256x128 (default: the config's, or that of --space)")
    other = parser.add_argument_group("measuring on another machine")
    either = other.add_mutually_exclusive_group()
    either.add_argument(
        "--kit",
        type=Path,
        metavar="FOLDER",
        help="write a folder to copy to that machine, with a program that measures there",
    )
    either.add_argument(
        "--import", type=Path, dest="times", metavar="FILE", help="make a table from the times.json measured there"
    )
    other.add_argument(
        "--as", dest="name", metavar="NAME", help="with --import: name for that machine, for example pi5"
    )
    read = parser.parse_args(arguments)
    if (read.times is None) != (read.name is None):
        raise UserError("--import FILE and --as NAME belong together; give both, or neither")
    if read.name == "NAME":
        raise UserError("--as NAME: replace NAME by a name for the machine, for example pi5")
    check_seed(read.seed)
    _check_options(read)
    check_one_process()
    space, target, networks, seed = _space(read), read.target or TARGET, read.networks or NETWORKS, read.seed or 0
    out = read.out or Path(f"runs/latency-{space.name}-{(read.name or target).lower()}")
    check_folder(out)
    if read.kit is not None:
        check_folder(read.kit, "--kit")
        make_kit(space, target, read.kit, networks, seed, _options(read))
        return
    if read.times is not None:
        called = read.space or load_experiment(read.config).space
        run = import_kit(space, read.times, read.name, out, read.resume, read.size, called)
    else:
        run = measure_space(space, target, out, networks, seed, read.resume)
    print(f"table: {shown(run.table)}; picture: {shown(run.picture)}")
    print(f"report: {shown(run.report)}")
    if read.times is not None:
        following = next_search(read.config, read.space, run, read.name)
        print(f"next, with a limit that half of these networks meet: {following}")


def _check_options(read: argparse.Namespace) -> None:
    """Raises UserError for an option that would have no effect."""
    of_no_account = ()
    if read.kit is not None:
        given = (("--out", read.out), ("--replace", read.resume or None))
        of_no_account = [(option, "a kit has no picture and no report") for option, value in given if value is not None]
    elif read.times is not None:
        given = (("--target", read.target), ("--networks", read.networks), ("--seed", read.seed))
        of_no_account = [(option, f"the kit of {read.times} sets it") for option, value in given if value is not None]
    for option, why in of_no_account:
        raise UserError(f"{option}: {why}; leave it out")


def _options(read: argparse.Namespace) -> list[str]:
    """The options that name the space and its size."""
    options = [] if read.config == DEFAULT_CONFIG else ["--config", str(read.config)]
    options += [] if read.space is None else ["--space", read.space]
    return options + ([] if read.size is None else ["--size", "{}x{}".format(*read.size)])


def _space(read: argparse.Namespace) -> Space:
    experiment = load_experiment(read.config)  # checked even with --space: suggested commands name the config
    if read.space is not None:
        return load_space(read.space).at(read.size)
    return load_space(experiment.space).at(read.size or experiment.search.cost_input_size or experiment.input_size)


def _several(text: str) -> int:
    if not text.isdecimal() or not 2 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"'{text}': give a whole number from 2 to {MOST}")
    return int(text)


if __name__ == "__main__":
    run_tool(main, again="run the same command to continue; a kit starts over", less="give a smaller --size")
