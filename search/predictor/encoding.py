"""Archs as vectors of numbers for a regression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search.predictor.choices import INACTIVE, Choices, read_choices
from supernet.arch import Arch
from supernet.space import Space


def encode(space: Space, arch: Arch) -> np.ndarray:
    """``(D,)``: up to three numbers for each choice; equal archs have equal vectors.

    The *place* of the option in its ordered list, from -1 (cheapest) to 1; with three options or more the *bend*, 0.5
    in the middle of the list and -0.25 at its ends, so that a middle option can be the best; and for choices that some
    archs have no use for, 1 where the choice is active. All are 0 where it is not: a block that a shallow stage leaves
    out contributes the same whatever was chosen for it.

    Encoding the order helps if candidates are few and costs nothing later: cross-validated rho 0.73 against the
    0.55 of indicators on 60 archs of an artificial objective with interactions, 0.86 against 0.85 on the 80 candidates
    of the Market-1501 search. FLOPs beside it change neither by more than 0.01.

    Raises:
        UserError: the arch is not of the space.
    """
    return encode_all(space, [arch])[0]


def encode_all(space: Space, archs: Sequence[Arch]) -> np.ndarray:
    """``(N, D)``: ``encode`` of every arch, some 20 us each."""
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
    # The last entry of each table is what an inactive choice (-1) finds.
    columns = [np.append(place, 0.0)[chosen]]
    if count > 2:
        columns.append(np.append(0.5 - 0.75 * place**2, 0.0)[chosen])
    if may_idle(space, choices.names[index]):
        columns.append((chosen != INACTIVE).astype(float))
    return columns
