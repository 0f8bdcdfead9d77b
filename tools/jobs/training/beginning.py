"""The initial weights of a training."""

from __future__ import annotations

from pathlib import Path

from reid.errors import UserError
from tools.jobs.evaluate.checkpoints import start_of
from tools.jobs.runs.moved import WEIGHTS_SHA256
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.supernets import inherited_run


def weights_sha256(weights: str | None) -> dict[str, str]:
    """What a run keeps of the file that ``--weights`` named, which may be another by and by; nothing where there is
    none, or none any longer, as for ImageNet's, which their publisher names, and for a supernet's, which has a digest
    of its own."""
    if weights is None or inherited_run(weights):
        return {}
    try:
        start = start_of(weights)
        return {WEIGHTS_SHA256: sha256(start)} if isinstance(start, Path) else {}
    except (UserError, FileNotFoundError):
        return {}
