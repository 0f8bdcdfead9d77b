"""The page of a latency table: the error of its predictions, network by network, and the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluation.report.html import REPORT, Picture, Section, Words, write_report
from evaluation.tables import Table
from search.flops_words import format_flops
from search.latency import LatencyError, LatencyTable, Target
from supernet.space import Space, describe
from tools.jobs.runs.provenance import made_by

CAPTION = "Each dot is a whole network. On the line, prediction and measurement are equal; the band is 5 % around it."


def write_latency_report(
    out: Path,
    picture: Path,
    space: Space,
    table: LatencyTable,
    error: LatencyError,
    lines: Sequence[str],
    machine: Mapping[str, str],
) -> Path:
    """Writes ``report.html`` into ``out`` and returns its path.

    Args:
        picture: of the error, already drawn.
        lines: printed about table and error.
        machine: see ``search.latency.machine``.
    """
    cells = tuple(
        (format_flops(row.flops), f"{row.predicted_ms:.3f}", f"{row.measured_ms:.3f}", f"{100 * row.error:+.1f} %")
        for row in sorted(error.rows, key=lambda row: row.flops)
    )
    headers = ("FLOPs", "predicted (ms)", "measured (ms)", "prediction off by")
    note = "measured: the minimum of many rounds, all networks in turn, at the speed that the machine had for the table"
    about = (("space", describe(space)), ("target", f"{table.name}, {images_a_call(table.target)}"), *machine.items())
    sections = [
        Section("Predictions", tuple(lines), pictures=(Picture(picture, CAPTION),)),
        Section("Networks", table=Table(headers, cells, notes=(note,))),
        Section("Space, target and machine", words=Words(("", ""), about)),
        Section("Command", code=made_by()),
    ]
    measured = [row.measured_ms for row in error.rows]
    cards = [
        ("Off by, median", f"{100 * error.median:.1f} %"),
        ("Off by, worst", f"{100 * error.worst:.1f} %"),
        ("Rank correlation", f"{error.spearman:.3f}"),
        ("Networks", f"{len(cells)}, {min(measured):.2f} to {max(measured):.2f} ms"),
        ("Target", table.name),
    ]
    return write_report(out / REPORT, f"Latency of {space.name} on {table.name}", cards, sections)


def images_a_call(target: Target) -> str:
    """``"one image a call"``."""
    return "one image a call" if target.batch == 1 else f"{target.batch} images a call"
