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
    """Measures every trained row's network at the size at which FLOPs are counted; returns ``latency.json``'s path.

    Always measures all networks anew: times of one session are more comparable than those of two.

    Raises:
        UserError: the plan has no target, this machine does not support it, or nothing is trained yet.
    """
    if setup.plan.target is None:
        raise UserError(f"{setup.file}: has no target to measure latency on; add target, for example onnx-cpu-1t")
    target = parse_target(setup.plan.target)
    check_available(target)
    runs = trained_networks(setup.places)
    if not runs:
        raise UserError("no row is trained yet, so there is nothing to measure; run the plan without --step first")
    networks = {name: counted_network(run, cost_size(setup)) for name, run in runs.items()}
    timings = measure_networks(list(networks.values()), target, progress=True)
    data = {
        "target": target.name,
        "machine": describe_machine(target),
        "networks": {
            # The minimum, since other programs can only add to a measured time.
            name: {"ms": timing.least_ms, "input_size": list(size), NETWORK: network_digest(runs[name])}
            for (name, (_, size)), timing in zip(networks.items(), timings, strict=True)
        },
        "command": command(),
        "commit": commit(),
    }
    return write_json(setup.places.run(Step(LATENCY, LATENCY)) / TIMES, data)


def cost_size(setup: Setup) -> tuple[int, int] | None:
    """The size at which FLOPs and latency are reported; ``None`` for each network's training size."""
    return setup.experiment(Step(LATENCY, LATENCY)).search.cost_input_size


def counted_network(run: Path, size: tuple[int, int] | None) -> tuple[nn.Module, tuple[int, int]]:
    """The network of a finished training with fresh weights, and the size at which its cost is reported."""
    spec = spec_of(run).at(size)
    return build(spec).eval(), spec.input_size
