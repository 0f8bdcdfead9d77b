"""Supernets and a search that the proofs are tried on."""

from __future__ import annotations

import pytest

from reid.engine.machine.device import seeded
from reid.files import write_json
from search.costs import CostTable
from search.gain.sampling import random_archs
from search.ranking.sampling import find_band
from supernet.files import NamedArch, load_space, save_arch
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


@pytest.fixture(scope="session")
def search_run(tmp_path_factory):
    """What a finished search leaves, as far as it is read: two archs of about the same FLOPs and one of others."""
    out, table, space = tmp_path_factory.mktemp("search") / "run", CostTable(), load_space("tiny").at((64, 32))
    small, large = (find_band(space, centre, 0.02, None, table) for centre in (2_000_000, 3_000_000))
    archs = [*random_archs(space, small, 2, 5, None, table), *random_archs(space, large, 1, 5, None, table)]
    rows = []
    for letter, named in zip("ABC", archs, strict=True):
        name = f"MLR-2M-{letter}"
        save_arch(out / "archs" / f"{name}.yaml", NamedArch(name, named.arch, {"space": "tiny"}))
        rows.append({"name": name, "file": f"archs/{name}.yaml"})
    settings = {"limit_flops": 3_500_000, "limit_latency_ms": None, "limit_parameters": None, "target": None}
    write_json(out / "search.json", {"finished": True, "best": rows, "settings": settings})
    return out
