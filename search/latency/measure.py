"""Latency of whole networks, measured in turn, so that changes in the machine's speed affect all alike.

Other programs on the machine can only add to a time. The least of many rounds is therefore the time of an undisturbed
call, and this is what is predicted. On a busy machine every call of more than a few ms is interrupted: on one CPU
thread the clock is therefore the thread's CPU time, which equals wall time when nothing else runs. The rule is that of
the program that measures on other machines, ``search.latency.kit.measure``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn
from tqdm import tqdm

from search.latency.kit.measure import cpu_clock, take_turns
from search.latency.runners import cpu_threads, prepare, torch_call
from search.latency.targets import Target, check_available
from supernet.arch import Arch
from supernet.network import build_network

ROUNDS = 40
"""Least number of rounds behind a time."""

SECONDS = 4.0
"""Least duration of the rounds: on a busy machine, those of small networks could all fall into one bad moment."""


class Timing(NamedTuple):
    """Milliseconds a call: the median over the rounds and the least of them."""

    median_ms: float
    least_ms: float


def clock_of(target: Target) -> Callable[[], float]:
    """The clock, in seconds, that measures calls on ``target``; see the module."""
    return cpu_clock(target.threads) if target.device == "cpu" else time.perf_counter


def measure_archs(
    archs: Sequence[Arch], target: Target, *, rounds: int = ROUNDS, seconds: float = SECONDS, progress: bool = False
) -> list[Timing]:
    """The latency of each whole network on ``target``, at its arch's own input size.

    Args:
        rounds, seconds: see ``take_turns``.

    Raises:
        UserError: the machine cannot run the target.
    """
    check_available(target)
    with torch.random.fork_rng(devices=[]):  # weights do not change the time
        networks = [(build_network(arch), arch.input_size) for arch in archs]
    return measure_networks(networks, target, rounds=rounds, seconds=seconds, progress=progress)


def measure_networks(
    networks: Sequence[tuple[nn.Module, tuple[int, int]]],
    target: Target,
    *,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
    progress: bool = False,
) -> list[Timing]:
    """The latency of each ``(network, (height, width))`` on ``target``; arguments and errors as ``measure_archs``'s."""
    check_available(target)
    several = tqdm(networks, desc=f"networks on {target.name}", unit="network", disable=not progress)
    calls = [prepare(network, (3, *size), target) for network, size in several]
    with cpu_threads(target.threads):
        seen = list(take_turns(calls, rounds, seconds, clock_of(target)))
    return [Timing(statistics.median(own), min(own)) for own in zip(*seen, strict=True)]


def measure_latency(
    networks: Sequence[tuple[nn.Module, tuple[int, int]]], device: torch.device, *, threads: int = 1, rounds: int = 40
) -> list[float]:
    """Median ms of one image (batch 1, fp32, channels-last, eval mode, torch eager) for each ``(network, (height,
    width))``.

    The networks run in turn, ``rounds`` times, so that a ratio of two results holds on a noisy machine better than
    either. On one CPU thread its own clock is read, which other programs do not move.

    Args:
        networks: moved to ``device`` and put in eval mode.
        threads: CPU threads while measuring; a tracker has seldom more than one to spare.
    """
    calls = [torch_call(network, torch.zeros(1, 3, *size), device) for network, size in networks]
    with cpu_threads(threads):
        seen = list(take_turns(calls, rounds, clock=clock_of(Target("torch", device.type, threads=threads))))
    return [statistics.median(own) for own in zip(*seen, strict=True)]
