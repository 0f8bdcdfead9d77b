"""The initial weights of a training."""

from __future__ import annotations

from pathlib import Path

from reid.errors import UserError
from tools.jobs.evaluate.checkpoints import start_of
from tools.jobs.runs.moved import WEIGHTS_SHA256
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.supernets import inherited_run


def weights_sha256(weights: str | None) -> dict[str, str]:
    """The digest to record for the file given as ``--weights``, which may change later. Empty if there is no such file
    (any more), for ImageNet's weights, which have a published name, and for a supernet's, recorded by another key."""
    if weights is None or inherited_run(weights):
        return {}
    try:
        start = start_of(weights)
        return {WEIGHTS_SHA256: sha256(start)} if isinstance(start, Path) else {}
    except (UserError, FileNotFoundError):
        return {}
