"""Measured latency: milliseconds an image on this machine, several networks in turn so that its moods hit all alike."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator, Sequence

import torch
from torch import nn

WARM_UP = 5


def measure_latency(
    networks: Sequence[tuple[nn.Module, tuple[int, int]]], device: torch.device, *, threads: int = 1, rounds: int = 40
) -> list[float]:
    """Median ms of one image (batch 1, fp32, channels-last, eval mode, torch eager) for each ``(network, (height,
    width))``.

    The networks run in turn, ``rounds`` times, so that a ratio of two results holds on a noisy machine better than
    either.

    Args:
        networks: moved to ``device`` and put in eval mode.
        threads: CPU threads while measuring; a tracker has seldom more than one to spare.
    """
    prepared = [
        (
            network.to(device, memory_format=torch.channels_last).eval(),
            torch.zeros(1, 3, *size, device=device).contiguous(memory_format=torch.channels_last),
        )
        for network, size in networks
    ]
    times: list[list[float]] = [[] for _ in prepared]
    with cpu_threads(threads), torch.inference_mode():
        for number in range(WARM_UP + rounds):
            for (network, images), seen in zip(prepared, times, strict=True):
                start = time.perf_counter()
                network(images)
                _wait(device)
                if number >= WARM_UP:
                    seen.append((time.perf_counter() - start) * 1e3)
    return [statistics.median(seen) for seen in times]


@contextlib.contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """torch runs on ``count`` CPU threads inside the block, and on as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
