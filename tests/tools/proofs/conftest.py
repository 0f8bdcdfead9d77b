"""Supernets that the proofs are tried on."""

from __future__ import annotations

import pytest

from reid.engine.device import seeded
from supernet.files import load_space
from supernet.supernet import Supernet
from supernet.trained.checkpoint import save_supernet


@pytest.fixture(scope="session")
def supernets(tmp_path_factory):
    """Untrained ones of two seeds: what is ranked does not depend on how good they are."""
    runs = []
    for seed in (1, 2):
        run = tmp_path_factory.mktemp("supernets") / f"net{seed}"
        with seeded(seed):
            save_supernet(run / "supernet.safetensors", Supernet(load_space("tiny")))
        runs.append(run)
    return runs
