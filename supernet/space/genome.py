"""Genomes of archs, and the moves that a search makes from one to the next.

A genome also names options for the blocks that a shallow stage leaves out. Different genomes can therefore be the same
network: compare archs, not genomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from reid.errors import UserError
from supernet.arch import Arch
from supernet.space.options import Genome, Option
from supernet.space.space import Space, decode, options_of


def encode(space: Space, arch: Arch) -> Genome:
    """A genome that decodes to ``arch``; inactive blocks take their first option.

    Where input sizes are a choice, the arch must have one of them; otherwise its size does not matter.

    Raises:
        UserError: the arch is not in the space; the message names the first choice that does not fit.
    """
    if len(arch.stages) != len(space.stages) or arch.embedding != space.embedding:
        raise UserError(f"the arch is not in space {space.name}: it has another number of stages, or another embedding")
    choices = space.all_choices()
    taken = dict(zip(choices, options_of(space, arch), strict=True))
    if not space.smaller_sizes:
        taken["input_size"] = None
    genome: Genome = {name: options[0] if taken[name] is None else taken[name] for name, options in choices.items()}
    for name, value in genome.items():
        if value not in choices.get(name, ()):
            raise UserError(f"the arch is not in space {space.name}: {name} is {value}")
    if decode(space, genome) != arch.at(None if space.smaller_sizes else space.input_size):
        raise UserError(f"the arch is not in space {space.name}: a stage has another stride")
    return {name: genome[name] for name in space.dimensions()}


def contains(space: Space, arch: Arch) -> bool:
    """Whether ``arch`` (at any input size, unless sizes are a choice) is one of the space's."""
    try:
        encode(space, arch)
    except UserError:
        return False
    return True


def largest(space: Space) -> Arch:
    """The arch with every choice at its last, most expensive option."""
    return decode(space, {name: options[-1] for name, options in space.dimensions().items()})


def smallest(space: Space) -> Arch:
    """The arch with every choice at its first, cheapest option."""
    return decode(space, {name: options[0] for name, options in space.dimensions().items()})


def sample(space: Space, random: Random) -> Genome:
    """A genome with every choice drawn uniformly."""
    return {name: random.choice(options) for name, options in space.dimensions().items()}


def mutate(space: Space, genome: Mapping[str, Option], probability: float, random: Random) -> Genome:
    """A copy with each choice redrawn (uniformly, maybe to the same option) with ``probability``; at least one is
    redrawn."""
    dims = space.dimensions()
    redrawn = [name for name in dims if random.random() < probability] or [random.choice(list(dims))]
    return {**genome, **{name: random.choice(dims[name]) for name in redrawn}}


def crossover(space: Space, first: Mapping[str, Option], second: Mapping[str, Option], random: Random) -> Genome:
    """A genome that takes each choice from one of two parents, by a fair coin."""
    return {name: random.choice((first, second))[name] for name in space.dimensions()}
