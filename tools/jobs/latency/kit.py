"""``tools/latency.py`` for another machine: the folder that it measures with, and what it measured."""

from __future__ import annotations

from pathlib import Path

from search.cost import CostTable
from search.latency import import_times, parse_target, prediction_error
from search.latency.kit.write import PROGRAM, Kit, write_kit
from search.latency.measure import ROUNDS
from supernet.space import Space, describe
from tools.jobs.latency.job import LatencyRun, latency_folder, report
from tools.jobs.opening import announce
from tools.jobs.ownership import LATENCY, REPLACE, check_free
from tools.jobs.paths import shown
from tools.typed import to_type


def make_kit(
    space: Space, target_name: str, folder: Path, networks: int = 30, seed: int = 0, called: str | None = None
) -> Kit:
    """Writes a kit into ``folder`` and says how large it is and what to do with it.

    Args:
        networks, seed: see ``write_kit``.
        called: what ``--space`` takes for the space, if not its name.

    Raises:
        UserError: see ``write_kit``, or the target is unknown.
    """
    target = parse_target(target_name)
    announce(f"latency kit of space {space.name}", [("space", describe(space)), ("target", target.name)])
    kit = write_kit(space, target, folder, networks=networks, seed=seed)
    what = f"{kit.parts} parts and {kit.networks} whole networks as {kit.models} .onnx files"
    print(f"kit: {shown(folder)}, 3 files, {kit.size / 1e6:.1f} MB: {what} in one zip")
    print(f"next: copy it to the machine, there: python3 {folder.name}/{PROGRAM}")
    print(f"then: {to_type('latency', '--space', called or space.name, '--import', 'times.json', '--as', 'NAME')}")
    return kit


def import_kit(space: Space, path: Path, name: str, out: Path, replace: bool = False) -> LatencyRun:
    """Makes the times in ``path`` the table of the machine ``name``, and says how far off its predictions are there.

    Writes ``latency_error.png`` and ``latency.json`` into ``out``.

    Raises:
        UserError: see ``import_times``; ``out`` holds an error of before, or the machine has a table of other times,
            that is not to be replaced.
    """
    check_free(out, LATENCY, replace, REPLACE)
    table, times = import_times(path, space, name, latency_folder(), replace)
    space = space if space.input_size == times.input_size else space.at(times.input_size)
    facts = [times.machine[key] for key in ("system", "python", "numpy") if key in times.machine]
    announce(
        f"latency of space {space.name} on {table.name}",
        [
            ("space", describe(space)),
            ("machine", table.device.words),
            ("", ", ".join(facts)),
            ("target", f"{times.target}, by {times.clock}, the least of {times.rounds} rounds or more"),
        ],
    )
    if times.rounds < ROUNDS:
        print(f"note: of {ROUNDS} rounds and more a time would be surer: python3 {PROGRAM} there goes on")
    error = prediction_error(table, space, costs=CostTable())
    return report(table, space, out, error, {key: str(value) for key, value in times.machine.items()})
