"""Random numbers as functions of seed, epoch and step, for layers that draw from torch's own generators (dropout)."""

from __future__ import annotations

import contextlib

import numpy as np
import torch


def step_seed(seed: int, epoch: int, step: int, rank: int = 0) -> int:
    """A seed in ``0 .. 2**63 - 1`` for one step of one process.

    The numbers are mixed by numpy's ``SeedSequence``, which gives the same result on every platform and in every
    version, so that steps of neighbouring seeds or epochs have unrelated draws.

    Args:
        seed, epoch, step, rank: not negative.
    """
    mixed = np.random.SeedSequence((seed, epoch, step, rank)).generate_state(1, np.uint64)
    return int(mixed[0] >> np.uint64(1))


@contextlib.contextmanager
def seeded_step(seed: int, device: torch.device):
    """A context in which torch's default generators of the CPU and ``device`` depend only on ``seed``.

    Afterwards, both generators are as before. It does what ``torch.random.fork_rng`` with ``manual_seed`` does, but
    leaves other devices alone and takes only tens of microseconds, so it can be used around every step.
    """
    generators = [torch.default_generator]
    if device.type == "cuda":
        torch.cuda.init()
        index = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[index])
    states = [generator.get_state() for generator in generators]
    try:
        for generator in generators:
            generator.manual_seed(seed)
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
