"""Archs as numeric vectors for a regression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search.predictor.choices import INACTIVE, Choices, read_choices
from supernet.arch import Arch
from supernet.space import Space


def encode(space: Space, arch: Arch) -> np.ndarray:
    """``(D,)``: up to three numbers per choice; equal archs have equal vectors.

    These are the *place* of the option in its ordered list, from -1 (cheapest) to 1; with three or more options the
    *bend*, 0.5 in the middle of the list and -0.25 at its ends, so that a middle option can be best; and for choices
    that have no effect in some archs, 1 if the choice is active. All are 0 if it is not: a block that a shallow stage
    leaves out contributes the same whatever was chosen for it.

    Encoding the order helps if there are few candidates and costs nothing later: cross-validated rho is 0.73 against
    0.55 for indicators on 60 archs of an artificial objective with interactions, and 0.86 against 0.85 on the 80
    candidates of the Market-1501 search. Adding FLOPs changes neither by more than 0.01.

    Raises:
        UserError: the arch is not in the space.
    """
    return encode_all(space, [arch])[0]


def encode_all(space: Space, archs: Sequence[Arch]) -> np.ndarray:
    """``(N, D)``: ``encode`` of every arch; some 20 us each."""
    choices = read_choices(space, archs)
    columns = [column for index in range(len(choices.names)) for column in _columns(space, choices, index)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(archs), 0))


def bends(space: Space) -> np.ndarray:
    """``(D,) bool``: which entries of ``encode`` are bends."""
    return np.array([kind == "bend" for _, kind in columns_of(space)], dtype=bool)


def columns_of(space: Space) -> list[tuple[str, str]]:
    """``(dimension, "place" | "bend" | "active")`` of every entry of ``encode``."""
    columns = []
    for name, options in space.dimensions().items():
        if len(options) > 1:
            kinds = ("place", *(("bend",) if len(options) > 2 else ()), *(("active",) if may_idle(space, name) else ()))
            columns += [(name, kind) for kind in kinds]
    return columns


def may_idle(space: Space, name: str) -> bool:
    """Whether the choice ``name`` has no effect in some archs of the space."""
    stage, _, rest = name.partition(".")
    if not rest:
        return False
    return space.stages[int(stage[1:]) - 1].may_idle(rest)


def _columns(space: Space, choices: Choices, index: int) -> list[np.ndarray]:
    count, chosen = len(choices.options[index]), choices.indices[:, index]
    place = 2 * np.arange(count) / (count - 1) - 1
    # An inactive choice has index -1, and so finds the last entry of each table.
    columns = [np.append(place, 0.0)[chosen]]
    if count > 2:
        columns.append(np.append(0.5 - 0.75 * place**2, 0.0)[chosen])
    if may_idle(space, choices.names[index]):
        columns.append((chosen != INACTIVE).astype(float))
    return columns
