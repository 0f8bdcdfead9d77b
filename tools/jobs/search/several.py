"""A search by several supernets: their requirements, and each one's own files in the search's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reid.errors import UserError
from search.config import SearchConfig
from supernet.trained.checkpoint import SUPERNET
from tools.jobs.paths import shown
from tools.jobs.runs.provenance import sha256


def check_several(supernets: Sequence[Path], config: SearchConfig) -> None:
    """Raises UserError where several supernets cannot be searched together; whether each is there is not looked at."""
    if len(supernets) > 1 and config.learn_from:
        raise UserError(
            f"--learn-from takes one supernet's scores into account, and --supernet names {len(supernets)}; give one"
        )
    seen: dict[str, Path] = {}
    for run in supernets:
        digest = sha256(weights) if (weights := run / SUPERNET).is_file() else str(run.resolve())
        if digest in seen:
            raise UserError(f"--supernet: {shown(run)} and {shown(seen[digest])} are the same one; name it once")
        seen[digest] = run


def own_folder(supernets: Sequence[Path], number: int) -> str:
    """Where in a folder the runs are that began with the weights of one of ``supernets``: in it for the first, below it
    for the others, by their weights, as ``tools/rank.py`` has them."""
    return f"supernet-{sha256(supernets[number] / SUPERNET)[:8]}" if number else ""
