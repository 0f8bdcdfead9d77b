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
"""The key of kept figures that says by ``network_digest`` which network they are of."""


def spec_of(run: Path) -> NetworkSpec:
    """The network of a finished training."""
    return spec_from_dict(read_about(run / WEIGHTS))


def network_digest(run: Path) -> str:
    """SHA-256 of what the header of a run's weights says of the network, but for its name and origin.

    Of the header as it stands: what later versions take for granted in it does not make it another network.
    """
    made_of = {key: value for key, value in read_about(run / WEIGHTS).items() if key not in ("name", "origin")}
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def is_of_network(kept: Mapping[str, Any], file: Path, run: Path) -> bool:
    """Whether the figures ``kept`` in ``file`` are of the network in ``run``.

    Those that do not say, as an earlier version wrote them, are unless they are older than its weights.
    """
    if NETWORK in kept:
        return kept[NETWORK] == network_digest(run)
    return file.stat().st_mtime >= (run / WEIGHTS).stat().st_mtime


def is_of_weights(score: Mapping[str, Any], file: Path, run: Path, cure: str) -> bool:
    """Whether the evaluation ``score``, in ``file``, is of the very weights in ``run``; one that does not say is.

    Raises:
        UserError: the file is damaged; ``cure`` is what helps.
    """
    with expecting(file, cure):
        told = score.get("about", {}).get("weights_sha256")
    return told is None or told == sha256(run / WEIGHTS)
