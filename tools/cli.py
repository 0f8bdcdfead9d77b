"""Common to all command line tools: shared options, and errors reported as one line with exit code 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from reid.engine.machine.device import pick_device
from reid.engine.machine.distributed import from_environment, said_by_first
from reid.engine.machine.memory import keep_freed_memory
from reid.errors import UserError
from reid.numbers import GREATEST_SEED
from tools.endings import end_with_the_reader, hushed_threads, line_of
from tools.interrupts import interruptible
from tools.jobs.experiment import DEFAULT_CONFIG, load_experiment
from tools.jobs.job import Job
from tools.jobs.paths import check_folder, shown
from tools.typed import as_typed, tool_parser

SYNTHETIC = Path("synthetic")
"""Value that ``--data`` accepts in place of a folder."""

ANEW = "anew"
"""Marks the options of a tool that cannot resume, for which ``--resume`` is an older spelling of ``--replace``."""


def job_parser(description: str, out: str, anew: bool = False) -> argparse.ArgumentParser:
    """A parser with the options that every job has.

    Args:
        out: the default folder, for the help text.
        anew: the tool cannot resume: what is in its folder is kept, or replaced.
    """
    parser = tool_parser(description)
    parser.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_CONFIG,
        metavar="FILE",
        help="config file of the experiment (default: configs/market1501.yaml)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="folder of the data set, or synthetic for the generated one (default: found under $REID_DATA or data/)",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=f"run folder to write (default: {out})")
    if anew:
        add_replace(parser, "--resume")
        parser.set_defaults(**{ANEW: True})
    else:
        parser.add_argument(
            "--resume",
            action="store_true",
            help="continue the run in --out, keeping what is finished; starts a new run if there is none",
        )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed of weights, batches, augmentation and search (default: 0)"
    )
    add_device(parser)
    parser.add_argument(
        "--set", action="append", default=[], metavar="a.b=c", help="override a value of the config; may be repeated"
    )
    return parser


def add_device(parser: argparse.ArgumentParser) -> None:
    """Adds the ``--device`` option."""
    parser.add_argument(
        "--device", default="auto", help="auto (CUDA if available), cpu, cuda, cuda:1, ... (default: auto)"
    )


def add_replace(parser: argparse.ArgumentParser, *also: str) -> None:
    """Adds ``--replace``, read into ``resume``, for tools that write their whole folder on every call; ``also`` are
    older spellings of it."""
    text = "overwrite the results of an earlier call in --out (refused otherwise)"
    parser.add_argument("--replace", *also, dest="resume", action="store_true", help=text)


def add_search(parser: argparse.ArgumentParser) -> None:
    """Adds ``--search`` for tools that look archs up by name. A given folder must contain archs: otherwise a typing
    error would silently select an arch of the same name from configs/archs."""
    parser.add_argument(
        "--search",
        type=_with_archs,
        default=Path("runs/search"),
        metavar="FOLDER",
        help="search run whose archs are looked up before configs/archs (default: runs/search)",
    )


def _with_archs(text: str) -> Path:
    if not (Path(text) / "archs").is_dir():
        raise UserError(f"--search {text}: there are no archs of a search in it; name the folder of a finished search")
    return Path(text)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Adds the limits of tools that search, and ``--target``."""
    limits = parser.add_argument_group("limits", "any limit given here replaces all limits of the config")
    limits.add_argument("--flops", metavar="LIMIT", help="upper limit on FLOPs as counted by fvcore, for example 210M")
    limits.add_argument("--latency", metavar="LIMIT", help="upper limit on latency on --target, for example 5ms")
    limits.add_argument("--params", metavar="LIMIT", help="upper limit on parameters, for example 2.2M")
    parser.add_argument(
        "--target",
        metavar="NAME",
        help="target to predict latency for, for example onnx-cpu-1t or an imported machine (default: the config's)",
    )


def check_one_process() -> None:
    """Raises UserError if torchrun started several processes of a tool whose work cannot be shared: the first process
    would work, the others would be refused its folder, and torchrun would then end the first."""
    if from_environment(torch.device("cpu")).several:
        raise UserError("torchrun started several processes, but this tool runs in one; start it without torchrun")


def check_seed(seed: int | None) -> None:
    """Raises UserError for a ``--seed`` that torch does not accept; None means that none was given."""
    if seed is not None and not 0 <= seed <= GREATEST_SEED:
        raise UserError(f"--seed {seed}: must be a whole number from 0 to {GREATEST_SEED}")


def read_job(arguments: argparse.Namespace, out: str, only_reads: bool = False) -> Job:
    """The common options as values. Raises UserError for a bad config, override, seed, device or output folder, and if
    there are several processes of a tool that cannot resume, since no such tool can share its work.

    Args:
        only_reads: the output folder need not be writable.
    """
    if hasattr(arguments, ANEW):
        check_one_process()
    if not only_reads:
        check_folder(arguments.out or Path(out))
    check_seed(arguments.seed)
    synthetic = arguments.data == SYNTHETIC and not SYNTHETIC.exists()
    if synthetic:  # as an override, it is also part of the commands suggested as next steps
        arguments.data, arguments.set = None, [*arguments.set, "data.name=synthetic"]
    experiment = load_experiment(
        arguments.config,
        arguments.set,
        **{name: getattr(arguments, name, None) for name in ("recipe", "epochs", "batch", "supernet_epochs")},
    )
    elsewhere = getattr(arguments, "dataset", None) or getattr(arguments, "datasets", None)
    own = None if elsewhere else experiment.data.dataset
    if synthetic and own is not None:
        raise UserError(f"--data synthetic: the config sets data.dataset {own.name}; leave one of the two out")
    if arguments.data is not None and own is not None and own.root is not None and arguments.data != own.root:
        raise UserError(
            f"--data {arguments.data}: the config sets data.dataset.root {own.root}; leave one of the two out"
        )
    job = Job(
        experiment=experiment,
        data=arguments.data,
        out=arguments.out or Path(out),
        resume=arguments.resume,
        seed=arguments.seed,
        device=pick_device(arguments.device),
        common=_common(arguments),
    )
    if job.resume and not hasattr(arguments, ANEW) and from_environment(job.device).is_main:
        _tell_beginning(job.out)
    return job


def _tell_beginning(out: Path) -> None:
    """Prints a note if ``--resume`` finds nothing to resume: another folder may have been meant."""
    if not out.exists() or not any(out.iterdir()):
        print(f"note: --resume: {shown(out)} holds no run to continue; starting a new one there")


def _common(arguments: argparse.Namespace) -> tuple[str, ...]:
    typed = [] if arguments.config == DEFAULT_CONFIG else ["--config", str(arguments.config)]
    typed += [] if arguments.data is None else ["--data", str(arguments.data)]
    return (*typed, *(word for override in arguments.set for word in ("--set", override)))


def run_tool(
    main: Callable[[list[str] | None], None],
    arguments: list[str] | None = None,
    again: str = "run the same command with --resume to continue from the last checkpoint",
    less: str = "give smaller images (--set input_size=[128,64])",
) -> None:
    """Runs a tool's ``main``. Ends the process with code 2 and a one-line message on a user error or when memory runs
    out, and with 130 when interrupted by Ctrl-C or SIGTERM. If all of torchrun's processes hit the same error, only one
    reports it.

    Args:
        again: what to do after an interrupt, for the message.
        less: how to make the tool use less memory, for the message.
    """
    keep_freed_memory()
    try:
        with interruptible(), hushed_threads():
            main(arguments)
            sys.stdout.flush()
    except Exception as error:
        if isinstance(error, BrokenPipeError):
            end_with_the_reader()
        line = line_of(error, less)
        if line is None:
            raise
        one = line.replace("\n", "\\n")  # a file name may contain a newline
        if not said_by_first(one):
            print(f"error: {as_typed(one)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"\ninterrupted; {again}", file=sys.stderr)
        sys.exit(130)
