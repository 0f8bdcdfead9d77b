"""The network behind a run's weights, and whether stored figures belong to that network and those weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reid.engine.runs.checkpoint import read_about
from reid.engine.runs.run_folder import WEIGHTS
from reid.files import expecting
from supernet.catalog import NetworkSpec, spec_from_dict
from tools.jobs.runs.provenance import sha256

NETWORK = "network"
"""The key in stored figures that holds the ``network_digest`` of their network."""


def spec_of(run: Path) -> NetworkSpec:
    """The network of a finished training."""
    return spec_from_dict(read_about(run / WEIGHTS))


def network_digest(run: Path) -> str:
    """SHA-256 of a run's network as its weights' header describes it, without name and origin.

    The header is hashed as written: defaults that later versions add do not change the digest.
    """
    made_of = {key: value for key, value in read_about(run / WEIGHTS).items() if key not in ("name", "origin")}
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def is_of_network(kept: Mapping[str, Any], file: Path, run: Path) -> bool:
    """Whether the figures ``kept`` in ``file`` belong to the network in ``run``.

    Figures without a digest, from an earlier version, are accepted unless they are older than the run's weights.
    """
    if NETWORK in kept:
        return kept[NETWORK] == network_digest(run)
    return file.stat().st_mtime >= (run / WEIGHTS).stat().st_mtime


def is_of_weights(score: Mapping[str, Any], file: Path, run: Path, cure: str) -> bool:
    """Whether the evaluation ``score`` in ``file`` used exactly the weights in ``run``; accepted if it has no digest.

    Raises:
        UserError: the file is damaged; ``cure`` is the advice to give.
    """
    with expecting(file, cure):
        told = score.get("about", {}).get("weights_sha256")
    return told is None or told == sha256(run / WEIGHTS)
