"""The page of an export: the files, their costs, and their differences from PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.export import Parity
from evaluation.export.parity import LARGEST_SHARE, LEAST_COSINE
from evaluation.report.html import Section, Words, write_report
from evaluation.tables import Table
from tools.jobs.export.table import ExportRow, export_cells, export_notes
from tools.jobs.runs.provenance import made_by

PAGE = ".html"
"""Suffix after a network's name: each network exported to a folder has a page of its own."""

PARITY = ("file", "images", "how many", "largest difference", "of at most", "mean cosine", "least cosine")
ALLOWED = f"allowed of a float32 file: {LARGEST_SHARE:g} of the largest number, and a least cosine of {LEAST_COSINE:g}"
FACTS = {
    "network": "network",
    "weights": "weights",
    "target": "target",
    "opset": "ONNX opset",
    "calibrated_on": "int8 calibrated on",
    "scored_on": "scored on",
}
"""Keys of the JSON file that hold for all rows, with words for the page."""


def write_export_report(path: Path, rows: Sequence[ExportRow], told: Mapping[str, Any]) -> Path:
    """Writes the page and returns its path.

    Args:
        rows: the first is the requested file's.
        told: the contents of the JSON file.
    """
    head, *lines = export_cells(rows)
    facts = [(words, str(told[key])) for key, words in FACTS.items() if told[key] is not None]
    parities = [(row.file.label, words, *_parity(found)) for row in rows for words, found in row.file.parity.items()]
    sections = [
        Section("Files", table=Table(head, tuple(lines), notes=tuple(export_notes(rows)))),
        Section("Parity with PyTorch", table=Table(PARITY, tuple(parities), notes=(ALLOWED,), words=2)),
        Section("Network and machine", words=Words(("", ""), (*facts, *told["machine"].items()))),
        Section("Command", code=made_by()),
    ]
    return write_report(path, f"Export of {told['network']}", _cards(rows), sections)


def _parity(found: Parity) -> tuple[str, ...]:
    cosines = (f"{found.mean_cosine:.7f}", f"{found.least_cosine:.7f}")
    return (str(found.images), f"{found.difference:.1e}", f"{found.largest:.2g}", *cosines)


def _cards(rows: Sequence[ExportRow]) -> list[tuple[str, str]]:
    first = rows[0]
    about, speed = first.file.about, first.speed
    cards = [
        ("File", f"{first.file.label}, {first.size / 1e6:.2f} MB"),
        ("One image on one CPU thread", f"{speed.median_ms:.2f} ms"),
        ("FLOPs, parameters", f"{about.flops / 1e6:.1f} M, {about.parameters / 1e6:.2f} M"),
    ]
    if speed.memory is not None:
        cards.append(("Peak memory", f"{speed.memory.peak:.0f} MiB"))
    if first.file.mAP is not None:
        cards.append(("mAP, Rank-1", f"{100 * first.file.mAP:.2f} %, {100 * first.file.rank1:.2f} %"))
    return cards
