"""``tools/search.py`` under torchrun: how its processes are connected."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
import torch.distributed as dist

from reid.engine.machine import distributed
from tools.jobs.search.job import search


class _Connected(Exception):
    pass


@pytest.mark.parametrize("rank", [0, 1])
def test_processes_wait_for_as_long_as_a_latency_table_takes(make_job, supernet_run, tmp_path, monkeypatch, rank):
    """Gloo's own half an hour ended searches whose first process still measured."""
    given = {}

    def stand_in(backend, **options):
        given.update(options, backend=backend)
        raise _Connected

    monkeypatch.setattr(dist, "init_process_group", stand_in)
    monkeypatch.setattr(distributed, "_meeting_place", lambda *given: (dist.HashStore(), itertools.count()))
    for name, value in {"WORLD_SIZE": 2, "RANK": rank, "LOCAL_RANK": rank}.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(_Connected):
        search(make_job(tmp_path / "out"), [supernet_run], "evolution")
    assert given["backend"] == "gloo" and given["rank"] == rank and given["timeout"] >= timedelta(hours=12)
