"""The parts of archs that are timed: those of the FLOPs table, distinguished also by their activations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from random import Random

import torch
from torch import nn

from search.costs.table import PARTS, part_groups
from supernet.arch import Arch
from supernet.network import build_network
from supernet.space import Genome, Option, Space, decode
from supernet.space.genome import sample

Part = tuple
"""``(kind, input height, input width, *constructor arguments, activation or None)``."""

NULL: Part = ("null", 1, 1, 1)
"""One activation on one number: measures the overhead of a call."""

_BASES = 6
"""Number of random archs, besides the largest, in which every choice is changed to see which parts it affects."""


def parts_of(arch: Arch) -> list[Part]:
    """The parts that an input goes through, in order: stem, stages, last convolution, head."""
    return [(*key, act) for keys, act in part_groups(arch) for key in keys]


def build_part(part: Part) -> tuple[nn.Module, tuple[int, int, int]]:
    """A part with fresh weights, and the shape ``(C, H, W)`` of its input."""
    kind, height, width, channels, *rest, act = part
    with torch.random.fork_rng(devices=[]):
        module = PARTS[kind](channels, *rest, **({"act": act} if act else {}))
    return module, (channels, height, width)


def network_of(what: Part | Arch) -> tuple[nn.Module, tuple[int, int, int]]:
    """A part, ``NULL`` or a whole network with fresh weights, and the shape ``(C, H, W)`` of its input."""
    if what == NULL:
        return nn.ReLU6(), (1, 1, 1)
    if isinstance(what, Arch):
        with torch.random.fork_rng(devices=[]):
            return build_network(what), (3, *what.input_size)
    return build_part(what)


def space_parts(space: Space) -> list[Part]:
    """Every part that an arch of ``space`` may have, each once.

    A part depends on few choices. Which ones is found by changing each choice of some archs; then all combinations of
    these are gone through. Deep archs have the parts of shallow ones, so depths stay at their greatest.
    """
    options = space.dimensions()
    deep = {name: values[-1] for name, values in options.items() if name.endswith(".depth")}
    parts: dict[Part, None] = {}
    for last_width in options["last_width"]:  # 0 leaves a part out, and the places of the others move
        fixed = {**deep, "last_width": last_width}
        free = {name: values for name, values in options.items() if name not in fixed}
        for place, names in enumerate(_choices_by_place(space, free, fixed)):
            base = {**sample(space, Random("parts")), **fixed}
            for values in product(*(free[name] for name in names)):
                arch = decode(space, {**base, **dict(zip(names, values, strict=True))})
                parts[parts_of(arch)[place]] = None
    return list(parts)


def _choices_by_place(space: Space, free: dict[str, Sequence[Option]], fixed: Genome) -> list[list[str]]:
    """For each place in ``parts_of`` the ``free`` choices that its part depends on.

    One choice may hide another: IBN has no effect in a block without expansion. In the largest arch none is hidden.
    """
    found: list[dict[str, None]] = []
    greatest = {name: values[-1] for name, values in space.dimensions().items()}
    for base in (greatest, *(sample(space, Random(f"parts/{number}")) for number in range(_BASES))):
        genome = {**base, **fixed}
        before = parts_of(decode(space, genome))
        found = found or [{} for _ in before]
        for name, values in free.items():
            for value in values:
                after = parts_of(decode(space, {**genome, name: value}))
                for names, old, new in zip(found, before, after, strict=True):
                    if old != new:
                        names[name] = None
    return [list(names) for names in found]
