"""Searches with several supernets: requirements, and the folders for each supernet's own runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reid.errors import UserError
from search.config import SearchConfig
from supernet.trained.checkpoint import SUPERNET
from tools.jobs.paths import shown
from tools.jobs.runs.provenance import sha256


def check_several(supernets: Sequence[Path], config: SearchConfig) -> None:
    """Raises UserError if several supernets cannot be searched together; does not check that they exist."""
    if len(supernets) > 1 and config.learn_from:
        raise UserError(
            f"--learn-from uses the scores of one supernet, but --supernet names {len(supernets)}; give one"
        )
    seen: dict[str, Path] = {}
    for run in supernets:
        digest = sha256(weights) if (weights := run / SUPERNET).is_file() else str(run.resolve())
        if digest in seen:
            raise UserError(f"--supernet: {shown(run)} and {shown(seen[digest])} are the same supernet; name it once")
        seen[digest] = run


def own_folder(supernets: Sequence[Path], number: int) -> str:
    """The subfolder for runs that start from supernet ``number`` of ``supernets``: none for the first; for the others a
    name made of their weights' digest, as in ``tools/rank.py``."""
    return f"supernet-{sha256(supernets[number] / SUPERNET)[:8]}" if number else ""
