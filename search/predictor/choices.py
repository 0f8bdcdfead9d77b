"""Archs as a table of the options they chose, with a mark where a choice has no effect.

Both the predictor and the explanation of a search read archs through this table, so that a choice without effect (such
as the kernel of a block that a shallow stage leaves out) influences neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reid.errors import UserError
from supernet.arch import Arch
from supernet.space import Option, Space, options_of

INACTIVE = -1
"""Replaces an option's index if the arch has no such block, or if IBN was chosen for blocks that cannot have it."""


@dataclass(frozen=True)
class Choices:
    """The option that each arch chose in each dimension.

    Attributes:
        names: the space's dimensions with at least two options.
        options: the options of each, from cheap to expensive.
        indices: ``(N, len(names))`` index of each arch's option, or ``INACTIVE``.
    """

    names: tuple[str, ...]
    options: tuple[tuple[Option, ...], ...]
    indices: np.ndarray


def read_choices(space: Space, archs: Sequence[Arch]) -> Choices:
    """The options of ``archs``; equal archs have equal rows.

    Takes some 10 us per arch, a tenth of ``supernet.space.genome.encode``: a search needs thousands. An arch may have
    another input size than the space's, unless the space has several.

    Raises:
        UserError: an arch is not in the space; the message names the first choice that is not.
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
