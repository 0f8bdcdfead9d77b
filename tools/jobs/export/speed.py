"""The cost of running exported files: milliseconds, images per second, memory."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.export import FileAbout, Memory, feed_of, open_session, peak_memory, random_pixels
from search.latency import Target
from search.latency.kit.measure import take_turns
from search.latency.measure import ROUNDS, SECONDS, clock_of
from search.latency.runners import Call

TARGET = Target("onnx", "cpu")
"""One thread: a tracker rarely has more to spare."""

BATCH = 32
BATCH_ROUNDS = 5


@dataclass(frozen=True)
class Speed:
    """Measured on one CPU thread of this machine.

    Attributes:
        median_ms, least_ms: of calls with one image, over the rounds.
        images_per_second: at ``BATCH`` images a call, by the median call.
        memory: of a process that runs the file on one image; ``None`` if it cannot be measured.
    """

    median_ms: float
    least_ms: float
    images_per_second: float
    memory: Memory | None


def measure_speeds(files: Sequence[tuple[Path, FileAbout]]) -> list[Speed]:
    """Times all files in turn, so that changes in the machine's speed affect all alike (with the clock and rounds of
    ``search.latency.measure``); then measures their memory, each in a separate process."""
    one = list(take_turns(_calls(files, 1), ROUNDS, SECONDS, clock_of(TARGET)))
    many = list(take_turns(_calls(files, BATCH), BATCH_ROUNDS, clock=clock_of(TARGET)))
    return [
        Speed(statistics.median(single), min(single), 1e3 * BATCH / statistics.median(batch), peak_memory(path))
        for (path, _), single, batch in zip(files, zip(*one, strict=True), zip(*many, strict=True), strict=True)
    ]


def _calls(files: Sequence[tuple[Path, FileAbout]], batch: int) -> list[Call]:
    return [_call(path, about, batch) for path, about in files]


def _call(path: Path, about: FileAbout, batch: int) -> Call:
    session, feed = open_session(path, TARGET.threads), feed_of(random_pixels(batch, about.input_size), about)
    return lambda: session.run(None, feed)
