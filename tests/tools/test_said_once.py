"""An error that all of torchrun's processes come upon: the first says it, the others need not."""

from __future__ import annotations

from datetime import timedelta

import pytest
import torch.distributed as dist

from reid.engine.machine.distributed import _meeting_place, said_by_first
from reid.errors import UserError
from tools.cli import run_tool

SOON = timedelta(seconds=0.3)


@pytest.fixture
def agent(monkeypatch):
    """The store of torchrun's agent; gives what a process of two finds in its environment."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)

    def environment(rank: int) -> dict[str, str]:
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        own |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
        for name, value in own.items():
            monkeypatch.setenv(name, value)
        return own

    _meeting_place.cache_clear()
    yield environment
    _meeting_place.cache_clear()


def test_another_process_does_not_say_what_the_first_says(agent):
    first, second = agent(0), agent(1)
    assert not said_by_first("no such file", first)
    assert said_by_first("no such file", second, SOON)
    assert not said_by_first("another file", second, SOON)  # it has trouble of its own


def test_a_process_that_is_alone_with_its_error_says_it(agent):
    assert not said_by_first("no such file", agent(1), SOON)


@pytest.mark.parametrize(
    "environment", [{}, {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}], ids=["one", "no agent"]
)
def test_without_torchrun_every_process_says_it(environment):
    assert not said_by_first("no such file", environment, SOON)


def test_all_of_them_end_with_2(agent, capsys):
    def unhappy(_):
        raise UserError("no such file")

    said = []
    for rank in (0, 1):
        agent(rank)
        with pytest.raises(SystemExit) as ended:
            run_tool(unhappy)
        assert ended.value.code == 2
        said.append(capsys.readouterr().err)
    assert said == ["error: no such file\n", ""]
