"""``tools/latency.py`` for another machine: writes the kit that measures there, and imports its times."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Sequence
from pathlib import Path

from reid.errors import UserError
from search.costs import CostTable
from search.latency import import_times, parse_target, prediction_error
from search.latency.kit.times import read_times
from search.latency.kit.write import PROGRAM, Kit, write_kit
from search.latency.measure import ROUNDS
from supernet.files import load_space
from supernet.space import Space, describe
from tools.jobs.experiment import DEFAULT_CONFIG, load_experiment
from tools.jobs.latency.job import LatencyRun, latency_folder, report
from tools.jobs.paths import shown
from tools.jobs.runs.ownership import LATENCY, REPLACE, alone_in, check_free
from tools.jobs.words.opening import announce
from tools.typed import to_type


def make_kit(
    space: Space,
    target_name: str,
    folder: Path,
    networks: int = 30,
    seed: int = 0,
    options: Sequence[str] | None = None,
) -> Kit:
    """Writes a kit into ``folder`` and prints its size and what to do with it.

    Args:
        networks, seed: see ``write_kit``.
        options: the options of ``tools/latency.py`` that select ``space``; by default ``--space`` and its name.

    Raises:
        UserError: see ``write_kit``, or the target is unknown.
    """
    target = parse_target(target_name)
    announce(f"latency kit of space {space.name}", [("space", describe(space)), ("target", target.name)])
    kit = write_kit(space, target, folder, networks=networks, seed=seed)
    what = f"{kit.parts} parts and {kit.networks} whole networks as {kit.models} .onnx files"
    print(f"kit: {shown(folder)}, 3 files, {kit.size / 1e6:.1f} MB: {what} in one zip")
    print(f"next: copy it to the machine, and run there: python3 {shlex.quote(f'{folder.resolve().name}/{PROGRAM}')}")
    options = ["--space", space.name] if options is None else options
    print(f"then, back here: {to_type('latency', *options, '--import', 'times.json', '--as', 'NAME')}")
    return kit


def import_kit(
    space: Space,
    path: Path,
    name: str,
    out: Path,
    replace: bool = False,
    size: tuple[int, int] | None = None,
    called: str | None = None,
) -> LatencyRun:
    """Imports the times in ``path`` as the table of the machine ``name``, and reports the error of its predictions.

    Writes ``latency_error.png``, ``latency.json`` and ``report.html`` into ``out``.

    Args:
        size: the requested size; ``None`` for the kit's.
        called: the user's name for ``space``, for messages; ``None`` for its own.

    Raises:
        UserError: see ``import_times``; the kit has another ``size``; or ``out`` holds an earlier measurement, or the
            machine has a table of other times, and ``replace`` is not set.
    """
    with alone_in(out):
        return _import_kit(space, path, name, out, replace, size, called)


def _import_kit(
    space: Space, path: Path, name: str, out: Path, replace: bool, size: tuple[int, int] | None, called: str | None
) -> LatencyRun:
    check_free(out, LATENCY, replace, REPLACE)
    own = read_times(path).input_size
    if size not in (None, own):
        raise UserError(f"--size {size[0]}x{size[1]}: {path} was measured at {own[0]}x{own[1]}; leave the option out")
    table, times = import_times(path, space, name, latency_folder(), replace, called)
    space = space if space.input_size == times.input_size else space.at(times.input_size)
    words = {"system": "{}", "python": "Python {}", "numpy": "numpy {}"}
    facts = [said.format(times.machine[key]) for key, said in words.items() if key in times.machine]
    announce(
        f"latency of space {space.name} on {table.name}",
        [
            ("space", describe(space)),
            ("machine", table.device.words),
            ("", ", ".join(facts)),
            ("target", f"{times.target}, by {times.clock}, the minimum over {times.rounds} rounds or more"),
        ],
    )
    if times.rounds < ROUNDS:
        print(f"note: times are more reliable from {ROUNDS} rounds on: run python3 {PROGRAM} there again to continue")
    error = prediction_error(table, space, costs=CostTable())
    return report(table, space, out, error, {key: str(value) for key, value in times.machine.items()})


def next_search(config: Path, called: str | None, run: LatencyRun, machine: str) -> str:
    """The command that searches ``run``'s space for the imported ``machine``, with a limit that half of the whole
    networks measured there meet.

    Args:
        config: of the experiment.
        called: the value of ``--space``, if given, which replaces the experiment's space.
    """
    options = [] if config == DEFAULT_CONFIG else ["--config", str(config)]
    for override in (*_space_override(called), *_size_override(config, called, run.space)):
        options += ["--set", override]
    limit = f"{statistics.median(row.measured_ms for row in run.error.rows):.3g}ms"
    return to_type("search", *options, "--latency", limit, "--target", machine)


def _space_override(called: str | None) -> list[str]:
    return [] if called is None else [f"space={called}"]


def _size_override(config: Path, called: str | None, measured: Space) -> list[str]:
    """Options that make a search count costs at the size of ``measured``; empty if it does so by default."""
    experiment = load_experiment(config, _space_override(called))
    space = load_space(experiment.space).at(experiment.input_size)
    if space.at(experiment.search.cost_input_size).input_sizes == measured.input_sizes:
        return []
    # A space with several sizes accepts no separate size for costs.
    key = "input_size" if space.smaller_sizes else "search.cost_input_size"
    return [f"{key}=[{measured.input_size[0]},{measured.input_size[1]}]"]
