"""Random rivals of a found arch keep to all limits that it was searched within."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import tools.jobs.latency.searched as tables
import tools.jobs.proofs.contenders as contenders
from reid.errors import UserError
from reid.files import write_json
from search.costs import CostTable
from search.gain.analysis import FOUND
from search.latency import parse_target
from search.latency.machine import describe_machine
from search.latency.store import Store, store_path
from supernet.files import NamedArch, load_space, save_arch
from supernet.space import decode
from tools.jobs.proofs.contenders import Contender, random_rivals
from tools.jobs.proofs.rival_limits import RivalLimits, rival_limits
from tools.jobs.runs.provenance import sha256

TABLE, TARGET = CostTable(), "torch-cpu-1t"
SPACE = load_space("tiny").at((64, 32))
ARCH = decode(SPACE, {name: values[len(values) // 2] for name, values in SPACE.dimensions().items()})
PARAMETERS = TABLE.parameters(ARCH)


def _latency(arch) -> float:
    return TABLE.parameters(arch) / 1e5


@pytest.fixture
def search(tmp_path, monkeypatch):
    """Writes a finished search of these limits, and the latency table that it went by."""
    path = store_path(tmp_path, SPACE, TARGET)
    Store(path, {"target": TARGET, "machine": describe_machine(parse_target(TARGET))}).save({})
    monkeypatch.setattr(contenders, "CostTable", lambda: TABLE)
    monkeypatch.setattr(tables, "latency_folder", lambda: tmp_path)
    monkeypatch.setattr(tables, "build_table", lambda *arguments, **options: SimpleNamespace(latency=_latency))

    def write(**limits):
        run = tmp_path / "search"
        save_arch(run / "archs" / "A.yaml", NamedArch("A", ARCH, {"space": "tiny"}))
        settings = {f"limit_{name}": limit for name, limit in limits.items()} | {"target": TARGET}
        summary = {"finished": True, "best": [{"file": "archs/A.yaml"}], "settings": settings}
        write_json(run / "search.json", summary | {"run_origin": {"latency_table_sha256": sha256(path)}})
        return SimpleNamespace(run=run, table=path)

    return write


@pytest.fixture
def draw(make_job, tmp_path):
    def archs(within):
        found = [Contender("A", FOUND, ARCH, tmp_path / "A.yaml")]
        drawn, _ = random_rivals(found, 6, SPACE, make_job(tmp_path / "gain"), within)
        assert all(abs(TABLE.flops(each.backbone) / TABLE.flops(ARCH) - 1) <= 0.05 for each in drawn)
        return [each.backbone for each in drawn]

    return archs


@pytest.mark.parametrize("limits", [{"parameters": PARAMETERS}, {"latency_ms": PARAMETERS / 1e5, "flops": 10**9}])
def test_rivals_keep_to_the_searchs_limits(search, draw, limits):
    free, bound = draw(RivalLimits()), draw(rival_limits(search(**limits).run, SPACE, TABLE))
    assert max(map(TABLE.parameters, free)) > PARAMETERS >= max(map(TABLE.parameters, bound))
    assert len({*bound, ARCH}) == 7


def test_a_limit_on_flops_alone_leaves_rivals_to_either_side(search):
    within = rival_limits(search(flops=TABLE.flops(ARCH)).run, SPACE, TABLE)
    assert within == RivalLimits() and within.words == ""
    assert rival_limits(search(parameters=2_200_000).run, SPACE, TABLE).words == " and at most 2.2M parameters"


def test_latency_is_predicted_by_the_searchs_own_table_or_not_at_all(search, call, refused, tmp_path):
    made = search(latency_ms=5.0)
    message = "search .*search used a latency table that is no longer in .*; draw .*, or name archs .* --random-archs"
    made.table.write_text(made.table.read_text() + " ")
    with pytest.raises(UserError, match=message):
        rival_limits(made.run, SPACE, TABLE)
    made.table.unlink()
    refused(call("gain", "--search", made.run, "--out", tmp_path / "out"), message)
    assert not (tmp_path / "out").exists()
