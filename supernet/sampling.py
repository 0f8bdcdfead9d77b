"""Which archs a training step of the supernet runs."""

from __future__ import annotations

from random import Random

from supernet.arch import Arch
from supernet.space import Space, decode, largest, sample, smallest


def sandwich(space: Space, step: int, seed: int, count: int) -> tuple[Arch, ...]:
    """The sandwich rule (Yu and Huang 2019): the largest arch first, then the smallest, then ``count`` uniform ones.

    A pure function of ``(seed, step)``, so that a resumed training draws what an unbroken one would.
    """
    random = Random(f"{seed}/{step}")
    drawn = tuple(decode(space, sample(space, random)) for _ in range(count))
    return (largest(space), smallest(space), *drawn)
