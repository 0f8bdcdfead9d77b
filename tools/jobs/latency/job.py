"""The job of ``tools/latency.py``, and the folder of latency tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evaluation.pictures.latency_error import draw_latency_error
from reid.files import write_json
from search.costs import CostTable
from search.latency import (
    LatencyError,
    LatencyTable,
    build_table,
    check_available,
    describe_error,
    parse_target,
    prediction_error,
)
from search.latency.machine import describe_machine
from search.limits.limits import format_latency
from supernet.space import Space, describe
from tools.jobs import data
from tools.jobs.latency.report import images_a_call, write_latency_report
from tools.jobs.paths import shown
from tools.jobs.runs.ownership import LATENCY, REPLACE, alone_in, check_free
from tools.jobs.words.opening import announce

PICTURE = "latency_error.png"


@dataclass(frozen=True)
class LatencyRun:
    """A table's file, its space at the measured size, its error, and the picture and page of the error."""

    table: Path
    space: Space
    error: LatencyError
    picture: Path
    report: Path


def latency_folder() -> Path:
    """The folder of the tables that all jobs share, beside the other caches."""
    return data.ROOT / "data" / "cache" / "latency"


def measure_space(
    space: Space, target_name: str, out: Path, networks: int = 30, seed: int = 0, replace: bool = False
) -> LatencyRun:
    """Builds or completes the latency table of ``space`` and reports its error on ``networks`` whole networks.

    Writes ``latency_error.png``, ``latency.json`` (the error per network, and the machine) and ``report.html`` into
    ``out``.

    Raises:
        UserError: the target is unknown or not supported by this machine; ``out`` holds an earlier measurement and
            ``replace`` is not set.
    """
    with alone_in(out):
        return _measure_space(space, target_name, out, networks, seed, replace)


def _measure_space(space: Space, target_name: str, out: Path, networks: int, seed: int, replace: bool) -> LatencyRun:
    check_free(out, LATENCY, replace, REPLACE)
    target = parse_target(target_name)
    check_available(target)
    announce(
        f"latency of space {space.name}",
        [
            ("space", describe(space)),
            ("target", f"{target.name}, {images_a_call(target)}"),
            ("tables", shown(latency_folder())),
        ],
    )
    costs = CostTable()
    table = build_table(space, target, latency_folder(), costs=costs)
    if table.note:
        print(f"note: {table.note}")
    machine = describe_machine(target)
    return report(table, space, out, prediction_error(table, space, networks, seed, costs=costs), machine)


def report(table: LatencyTable, space: Space, out: Path, error: LatencyError, machine: Mapping[str, str]) -> LatencyRun:
    """Prints a table's description and its error, draws the error, and writes both into ``out``."""
    lines = _lines(table, error)
    print("\n".join(lines))
    predicted, measured = [row.predicted_ms for row in error.rows], [row.measured_ms for row in error.rows]
    title = f"{space.name} on {table.name}"
    picture = draw_latency_error(predicted, measured, [row.flops for row in error.rows], out / PICTURE, title)
    lines += [f"note: {table.note}"] * bool(table.note)
    page = write_latency_report(out, picture, space, table, error, lines, machine)
    # Written last: if it exists, so do all other files.
    write_json(out / LATENCY, {**_error_to_dict(error, table.name, space), "machine": dict(machine)})
    return LatencyRun(table.path, space, error, picture, page)


def _lines(table: LatencyTable, error: LatencyError) -> list[str]:
    """Lines on how parts predict a network's time, and on the error of predictions."""
    fit, measured = table.correction, [row.measured_ms for row in error.rows]
    return [
        f"{len(table.parts)} parts; ms = {fit.scale:.3f} x their sum {fit.offset_ms:+.3f}; "
        f"overhead of a call {1e3 * table.call_ms:.0f} us",
        f"predictions: {describe_error(error)}",
        f"networks: {format_latency(min(measured))} to {format_latency(max(measured))}",
    ]


def _error_to_dict(error: LatencyError, target: str, space: Space) -> dict:
    rows = [
        {"flops": row.flops, "predicted_ms": round(row.predicted_ms, 5), "measured_ms": round(row.measured_ms, 5)}
        for row in error.rows
    ]
    figures = {"median": error.median, "worst": error.worst, "spearman": error.spearman, "drift": error.drift}
    return {"target": target, "space": space.name, "input_size": list(space.input_size), **figures, "rows": rows}
