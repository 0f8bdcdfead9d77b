"""The latency step: times all trained networks in turn on one target, with no other step running."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from reid.errors import UserError
from reid.files import write_json
from search.latency import check_available, measure_networks, parse_target
from search.latency.machine import describe_machine
from supernet.catalog import build
from tools.jobs.results.made_of import NETWORK, network_digest, spec_of
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import LATENCY, Step
from tools.jobs.results.states import TIMES, trained_networks
from tools.jobs.runs.provenance import command, commit


def measure_latencies(setup: Setup) -> Path:
    """Measures every row's network at the size that FLOPs are counted at; returns the path of ``latency.json``.

    All are measured anew each time: times of one run can be compared, those of two runs less so.

    Raises:
        UserError: the plan has no target, this machine cannot run it, or nothing is trained yet.
    """
    if setup.plan.target is None:
        raise UserError(f"{setup.file}: has no target to measure latency on; add one, for example onnx-cpu-1t")
    target = parse_target(setup.plan.target)
    check_available(target)
    runs = trained_networks(setup.places)
    if not runs:
        raise UserError("no row is trained yet: there is nothing to measure")
    networks = {name: counted_network(run, cost_size(setup)) for name, run in runs.items()}
    timings = measure_networks(list(networks.values()), target, progress=True)
    data = {
        "target": target.name,
        "machine": describe_machine(target),
        "networks": {
            # The least time: other programs only ever add to one.
            name: {"ms": timing.least_ms, "input_size": list(size), NETWORK: network_digest(runs[name])}
            for (name, (_, size)), timing in zip(networks.items(), timings, strict=True)
        },
        "command": command(),
        "commit": commit(),
    }
    return write_json(setup.places.run(Step(LATENCY, LATENCY)) / TIMES, data)


def cost_size(setup: Setup) -> tuple[int, int] | None:
    """The size that FLOPs and latency are told at; ``None`` for the one that a network is trained at."""
    return setup.experiment(Step(LATENCY, LATENCY)).search.cost_input_size


def counted_network(run: Path, size: tuple[int, int] | None) -> tuple[nn.Module, tuple[int, int]]:
    """The network of a finished training with fresh weights, and the size that its cost is told at."""
    spec = spec_of(run).at(size)
    return build(spec).eval(), spec.input_size
