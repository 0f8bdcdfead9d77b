"""The weights that an ``.onnx`` file was made from, found by the JSON file that ``tools/export.py`` wrote beside it."""

from __future__ import annotations

from pathlib import Path

from reid.errors import UserError
from reid.files import read_json
from tools.jobs.runs.provenance import sha256

SMALL = "-int8"
"""Suffix of a quantised file's name; both files share one JSON file and page."""


def exported_from(path: Path, digest: str | None) -> Path | None:
    """The weights named in the JSON file beside ``path``; ``None`` if there are none, or if their SHA-256 is not
    ``digest``, which the ``.onnx`` file itself records."""
    try:
        told = read_json(path.with_name(f"{path.stem.removesuffix(SMALL)}.json"))
        weights = Path(told["weights"])
        return weights if digest and sha256(weights) == digest else None
    except (UserError, OSError, KeyError, TypeError):
        return None
