"""Taking turns, and the calls that are measured."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from search.latency import Target, cpu_threads, measure_archs, measure_latency
from search.latency.kit.measure import WARM_UP, take_turns
from search.latency.measure import clock_of
from search.latency.runners import prepare
from supernet.layers.activations import ReLU6
from supernet.network import build_network
from supernet.space.genome import largest, smallest


def test_turns_time_the_second_call_of_each(monkeypatch):
    now, order = [0.0], []

    def call(name: str, first: float, second: float):
        def run() -> None:
            order.append(name)
            now[0] += second if order[-2:] == [name, name] else first

        return run

    rounds = list(take_turns([call("a", 7, 0.001), call("b", 9, 0.002)], 3, clock=lambda: now[0]))
    assert order == ["a", "a", "b", "b"] * (WARM_UP + 3)
    assert rounds == [[pytest.approx(1), pytest.approx(2)]] * 3


def test_turns_go_on_for_the_seconds_asked_for():
    assert len(list(take_turns([lambda: None], 1, seconds=0.05))) > 100


def test_clock_is_the_threads_own_on_one_thread_only():
    names = {target.name: clock_of(target).__name__ for target in (Target("onnx", "cpu"), Target("torch", "cpu", 2))}
    assert names == {"onnx-cpu-1t": "thread_time", "torch-cpu-2t": "perf_counter"}
    assert clock_of(Target("torch", "cuda")).__name__ == "perf_counter"


@pytest.mark.parametrize("part", [False, True])
def test_onnx_computes_what_torch_does(space, part):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    network = build_network(largest(space)).eval()
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_()  # otherwise zeros stay zeros
    module, shape = (network.head, (8, 4, 2)) if part else (network, (3, 16, 8))
    (got,) = prepare(module, shape, Target("onnx", "cpu"))()
    with torch.no_grad():
        wanted = module(torch.zeros(1, *shape))
    wanted = wanted.embedding if part else wanted
    assert wanted.abs().max() > 0
    torch.testing.assert_close(torch.from_numpy(got), wanted, rtol=1e-4, atol=1e-5)


def test_archs_are_measured_with_as_many_threads_as_asked_for(space, monkeypatch):
    seen = []
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr(ReLU6, "forward", lambda self, x: seen.append(torch.get_num_threads()) or x)
    before = torch.get_num_threads()
    timings = measure_archs([smallest(space)], Target("torch", "cpu", threads=3), rounds=2, seconds=0)
    assert set(seen) == {3} and torch.get_num_threads() == before
    assert 0 < timings[0].least_ms <= timings[0].median_ms


def test_measured_networks_are_in_the_order_given():
    class Busy(nn.Module):
        def __init__(self, steps: int) -> None:
            super().__init__()
            self.steps = steps

        def forward(self, x):
            for _ in range(self.steps):
                x = x @ x.transpose(-1, -2)
            return x

    slow, quick = measure_latency([(Busy(200), (8, 8)), (Busy(1), (8, 8))], torch.device("cpu"), rounds=5)
    assert slow > 10 * quick


def test_threads_are_given_back_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), cpu_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == before
