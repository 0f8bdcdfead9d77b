"""Archs as a table of the options they chose, with a mark where a choice has no effect.

The predictor and the explanation of a search both read archs through this, so that a choice without effect (the kernel
of a block that a shallow stage leaves out) influences neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reid.errors import UserError
from supernet.arch import Arch
from supernet.space import Option, Space, options_of

INACTIVE = -1
"""In place of an option's index: the arch has no such block, or IBN was asked of blocks that have none."""


@dataclass(frozen=True)
class Choices:
    """Which option each arch took.

    Attributes:
        names: the space's dimensions with at least two options.
        options: the options of each, cheap to dear.
        indices: ``(N, len(names))`` index of each arch's option, or ``INACTIVE``.
    """

    names: tuple[str, ...]
    options: tuple[tuple[Option, ...], ...]
    indices: np.ndarray


def read_choices(space: Space, archs: Sequence[Arch]) -> Choices:
    """The options of ``archs``; equal archs have equal rows.

    Takes some 10 us an arch, where ``supernet.space.genome.encode`` takes ten times as long: a search asks for
    thousands. An arch may have another input size than the space's, unless sizes are a choice.

    Raises:
        UserError: an arch is not of the space; the message names the first choice that is not.
    """
    dims = space.dimensions()
    slots = {name: slot for slot, name in enumerate(space.all_choices())}
    names = tuple(name for name, options in dims.items() if len(options) > 1)
    rows = [options_of(space, arch) for arch in archs]
    indices = np.empty((len(rows), len(names)), dtype=np.int64)
    for column, name in enumerate(names):
        known = {option: index for index, option in enumerate(dims[name])} | {None: INACTIVE}
        slot = slots[name]
        try:
            indices[:, column] = [known[row[slot]] for row in rows]
        except KeyError as unknown:
            raise UserError(f"the arch is not in space {space.name}: {name} is {unknown.args[0]}") from None
    return Choices(names, tuple(tuple(dims[name]) for name in names), indices)
