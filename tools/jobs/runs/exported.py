"""The weights that an ``.onnx`` file was made from, if ``tools/export.py``'s own page beside it leads to them."""

from __future__ import annotations

from pathlib import Path

from reid.errors import UserError
from reid.files import read_json
from tools.jobs.runs.provenance import sha256

SMALL = "-int8"
"""Suffix of a quantised file's name; both files share a page."""


def exported_from(path: Path, digest: str | None) -> Path | None:
    """The weights that the JSON beside ``path`` names; ``None`` where there is none, or they are gone, or are others by
    now than those of ``digest``, the SHA-256 that the file itself has of them."""
    try:
        told = read_json(path.with_name(f"{path.stem.removesuffix(SMALL)}.json"))
        weights = Path(told["weights"])
        return weights if digest and sha256(weights) == digest else None
    except (UserError, OSError, KeyError, TypeError):
        return None
