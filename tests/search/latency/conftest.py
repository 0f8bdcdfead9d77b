"""A space of few parts, and a machine whose times are known exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from torch import nn

import search.latency.measure
import search.latency.table
from reid.models.network import count_parameters
from search.costs import CostTable
from search.latency.targets import Target
from supernet.space import Space, StageSpace


@pytest.fixture(scope="session")
def space() -> Space:
    """A few thousand archs with every kind of choice that parts depend on."""
    stages = (
        StageSpace(1, widths=(4,), depths=(1,), kernels=(3,), expands=(1,), acts=("relu6", "h-swish")),
        StageSpace(
            2, widths=(4, 6), depths=(1, 2), kernels=(1, 3), expands=(1, 2), se=(False, True), ibn=(False, True)
        ),
    )
    return Space("few", (16, 8), (4, 6), stages, (0, 8), smaller_sizes=((8, 8),))


@dataclass
class Machine:
    """A call takes ``call_ms`` and 1 ms for every thousand parameters, on a clock of its own, divided by ``speed``.

    Attributes:
        prepared: how many networks and parts were.
        calls_left: calls until it is interrupted.
    """

    call_ms: float = 0.5
    speed: float = 1.0
    prepared: int = 0
    calls_left: int = 10**9
    now: float = field(default=0.0)

    def prepare(self, network: nn.Module, shape: tuple[int, int, int], target: Target) -> Callable[[], None]:
        self.prepared += 1
        parameters = count_parameters(network)

        def call() -> None:
            if self.calls_left == 0:
                raise KeyboardInterrupt
            self.calls_left -= 1
            self.now += (self.call_ms + parameters / 1000) / self.speed / 1000

        return call

    def clock(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def costs() -> CostTable:
    """Shared, so that parts are counted once."""
    return CostTable()


@pytest.fixture
def machine(monkeypatch) -> Machine:
    made = Machine()
    for module in (search.latency.measure, search.latency.table):
        monkeypatch.setattr(module, "prepare", made.prepare)
        monkeypatch.setattr(module, "clock_of", lambda target: made.clock)
    return made
