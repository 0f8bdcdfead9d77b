"""The table of exported files, for the terminal and as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.export import FileAbout, Parity
from evaluation.tables import aligned
from tools.jobs.export.speed import BATCH, Speed

HEADER = ("file", "MB", "difference", "cosine", "least", "ms", "least ms", "images/s", "MiB", "mAP %", "Rank-1 %")

ALIKE = 0.95
"""Mean cosine below which an int8 file gets a warning."""


@dataclass(frozen=True)
class ExportedFile:
    """A file that was written and compared with PyTorch.

    Attributes:
        label: its name; for a baseline, whose file is not kept, the network.
        path: of the file.
        about: its metadata.
        parity: to PyTorch, by kind of images; empty if it would mean nothing.
        mAP, rank1: fractions, if it was scored.
    """

    label: str
    path: Path
    about: FileAbout
    parity: Mapping[str, Parity]
    mAP: float | None = None
    rank1: float | None = None


@dataclass(frozen=True)
class ExportRow:
    """A file with its size in bytes and its running cost."""

    file: ExportedFile
    size: int
    speed: Speed

    def as_dict(self) -> dict[str, Any]:
        """The row for JSON."""
        file, memory = self.file, self.speed.memory
        told = {
            "file": file.label,
            "bytes": self.size,
            **dataclasses.asdict(file.about),
            "parity": {words: _finite(parity) for words, parity in file.parity.items()},
            **dataclasses.asdict(self.speed),
            "mAP": file.mAP,
            "rank1": file.rank1,
        }
        return {**told, "memory": memory and {**dataclasses.asdict(memory), "added": memory.added}}


def _finite(parity: Parity) -> dict[str, float | None]:
    """Replaces NaN, which an int8 file may give, by ``None``, since JSON has no NaN."""
    return {name: value if math.isfinite(value) else None for name, value in dataclasses.asdict(parity).items()}


def export_table(rows: Sequence[ExportRow]) -> str:
    """The rows, and notes on the columns."""
    return "\n".join([aligned(export_cells(rows)), *export_notes(rows)])


def export_cells(rows: Sequence[ExportRow]) -> list[tuple[str, ...]]:
    """The table's lines, heading first, without columns that are empty in all rows."""
    lines = [HEADER, *map(_cells, rows)]
    columns = [column for column in zip(*lines, strict=True) if set(column[1:]) != {"-"}]
    return list(zip(*columns, strict=True))


def _cells(row: ExportRow) -> tuple[str, ...]:
    file, speed, found = row.file, row.speed, row.file.parity.values()
    return (
        file.label,
        f"{row.size / 1e6:.2f}",
        f"{max(each.difference for each in found):.1e}" if found else "-",
        f"{min(each.mean_cosine for each in found):.5f}" if found else "-",
        f"{min(each.least_cosine for each in found):.5f}" if found else "-",
        f"{speed.median_ms:.2f}",
        f"{speed.least_ms:.2f}",
        f"{speed.images_per_second:.0f}",
        "-" if speed.memory is None else f"{speed.memory.peak:.0f}",
        "-" if file.mAP is None else f"{100 * file.mAP:.2f}",
        "-" if file.rank1 is None else f"{100 * file.rank1:.2f}",
    )


def export_notes(rows: Sequence[ExportRow]) -> list[str]:
    """What the columns mean, and warnings about files that should not be used as they are."""
    notes = [
        "difference, cosine: to PyTorch's embeddings; largest of a number, mean and lowest of an image",
        f"ms: one image on one CPU thread, median and minimum of the rounds; images/s: {BATCH} per call, one thread",
    ]
    before = [row.speed.memory.before for row in rows if row.speed.memory is not None]
    if before:
        least = f"{min(before):.0f} before it is opened"
        notes.append(f"MiB: peak of a process that only runs the file on one image; {least}")
    for file in (row.file for row in rows):
        # Negated so that NaN also gives the note.
        if file.about.precision == "int8" and not all(each.mean_cosine >= ALIKE for each in file.parity.values()):
            far = f"far from float32 (mean cosine below {ALIKE})"
            cure = "score it with --score" if file.mAP is None else "compare the mAP of both"
            notes.append(f"note: {file.label} is {far}; {cure} before you use it")
    return notes
