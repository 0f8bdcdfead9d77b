"""``Space``: which archs a search may choose from, and the moves a search makes in it.

A choice vector ("genome") names an option for every dimension of the space, also for the blocks that a shallow stage
leaves out. Different vectors can therefore be the same network: compare archs, not vectors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from reid.errors import UserError
from supernet.arch import Arch, Block, Stage

Genome = dict[str, int]
"""Value chosen for each dimension, by the dimension's name, in the order of ``Space.dimensions``."""


@dataclass(frozen=True)
class StageSpace:
    """Choices of one stage. ``kernels`` and ``expands`` are chosen for each block apart."""

    stride: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expands: tuple[int, ...]


@dataclass(frozen=True)
class Space:
    """A search space around MobileNetV2; every tuple is ascending and without repeats.

    Attributes:
        name: what files and messages call it.
        input_size: ``(height, width)`` of every arch in it.
        stems, last_widths: choices for the stem's and the last convolution's channels.
        stages: choices per stage.
        embedding: see ``Arch.embedding``; the same for every arch.
    """

    name: str
    input_size: tuple[int, int]
    stems: tuple[int, ...]
    stages: tuple[StageSpace, ...]
    last_widths: tuple[int, ...]
    embedding: int | None = None

    def __post_init__(self) -> None:
        for name, choices in self.dimensions().items():
            if not choices or list(choices) != sorted(set(choices)):
                raise UserError(
                    f"space {self.name}: choices of {name} must be ascending without repeats: {list(choices)}"
                )
            lowest = 0 if name == "last_width" else 1
            if choices[0] < lowest or (name.endswith("kernel") and any(choice % 2 == 0 for choice in choices)):
                raise UserError(f"space {self.name}: {list(choices)} is no valid choice of {name}")
        largest(self)  # what is no choice (strides, sizes, embedding) is checked by the archs themselves

    def dimensions(self) -> dict[str, tuple[int, ...]]:
        """Every choice to make, by name: ``stem``, ``s2.width``, ``s2.depth``, ``s2.b1.kernel``, ... and its
        options."""
        dims: dict[str, tuple[int, ...]] = {"stem": self.stems}
        for number, stage in enumerate(self.stages, start=1):
            dims[f"s{number}.width"] = stage.widths
            dims[f"s{number}.depth"] = stage.depths
            for block in range(1, max(stage.depths, default=0) + 1):
                dims[f"s{number}.b{block}.kernel"] = stage.kernels
                dims[f"s{number}.b{block}.expand"] = stage.expands
        dims["last_width"] = self.last_widths
        return dims

    def at(self, input_size: tuple[int, int] | None) -> Space:
        """The same choices at another input size (``None``: as it is)."""
        return replace(self, input_size=tuple(input_size)) if input_size else self


def decode(space: Space, genome: Mapping[str, int]) -> Arch:
    """The arch that a genome stands for; choices of blocks beyond a stage's depth do not count."""
    stages = []
    for number, stage in enumerate(space.stages, start=1):
        blocks = tuple(
            Block(genome[f"s{number}.b{block}.kernel"], genome[f"s{number}.b{block}.expand"])
            for block in range(1, genome[f"s{number}.depth"] + 1)
        )
        stages.append(Stage(genome[f"s{number}.width"], stage.stride, blocks))
    return Arch(space.input_size, genome["stem"], tuple(stages), genome["last_width"], space.embedding)


def encode(space: Space, arch: Arch) -> Genome:
    """A genome that decodes to ``arch``; inactive blocks take their first option.

    Raises:
        UserError: the arch is not in the space; the message names the first choice that is not.
    """
    if len(arch.stages) != len(space.stages) or arch.embedding != space.embedding:
        raise UserError(f"the arch is not in space {space.name}: it has other stages or another embedding")
    genome: Genome = {name: options[0] for name, options in space.dimensions().items()}
    genome["stem"], genome["last_width"] = arch.stem, arch.last_width
    for number, stage in enumerate(arch.stages, start=1):
        genome[f"s{number}.width"], genome[f"s{number}.depth"] = stage.width, len(stage.blocks)
        for position, block in enumerate(stage.blocks, start=1):
            genome[f"s{number}.b{position}.kernel"] = block.kernel
            genome[f"s{number}.b{position}.expand"] = block.expand
    options = space.dimensions()
    for name, value in genome.items():
        if value not in options.get(name, ()):
            raise UserError(f"the arch is not in space {space.name}: {name} is {value}")
    if decode(space, genome) != arch.at(space.input_size):
        raise UserError(f"the arch is not in space {space.name}: a stage has another stride")
    return genome


def contains(space: Space, arch: Arch) -> bool:
    """Whether ``arch`` (at any input size) is one of the space's."""
    try:
        encode(space, arch)
    except UserError:
        return False
    return True


def largest(space: Space) -> Arch:
    """Every choice at its greatest option."""
    return decode(space, {name: options[-1] for name, options in space.dimensions().items()})


def smallest(space: Space) -> Arch:
    """Every choice at its least option."""
    return decode(space, {name: options[0] for name, options in space.dimensions().items()})


def sample(space: Space, random: Random) -> Genome:
    """A genome with every choice drawn uniformly."""
    return {name: random.choice(options) for name, options in space.dimensions().items()}


def mutate(space: Space, genome: Mapping[str, int], probability: float, random: Random) -> Genome:
    """A copy with each choice redrawn (uniformly, maybe to the same option) with ``probability``; at least one is
    redrawn."""
    dims = space.dimensions()
    redrawn = [name for name in dims if random.random() < probability] or [random.choice(list(dims))]
    return {**genome, **{name: random.choice(dims[name]) for name in redrawn}}


def crossover(space: Space, first: Mapping[str, int], second: Mapping[str, int], random: Random) -> Genome:
    """Each choice from one of two parents, by a fair coin."""
    return {name: random.choice((first, second))[name] for name in space.dimensions()}


def count_archs(space: Space) -> int:
    """How many different archs the space holds (choices of inactive blocks do not count)."""
    total = len(space.stems) * len(space.last_widths)
    for stage in space.stages:
        per_block = len(stage.kernels) * len(stage.expands)
        total *= len(stage.widths) * sum(per_block**depth for depth in stage.depths)
    return total


def describe(space: Space) -> str:
    """One line for a job's opening: name, input size, number of archs."""
    height, width = space.input_size
    archs = math.log10(count_archs(space))
    return f"space {space.name}: {height}x{width}, {len(space.dimensions())} choices, 10^{archs:.1f} archs"
