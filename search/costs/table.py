"""FLOPs and parameters of an arch from a table of its parts.

``search.costs.fvcore_counts`` defines FLOPs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from reid.models.heads import BNNeckHead
from reid.models.network import count_parameters
from search.costs.fvcore_counts import count_flops
from search.costs.pieces import PIECES
from supernet.arch import Arch
from supernet.layer_kinds import LAYERS
from supernet.space import Space
from supernet.space.genome import largest, smallest


class Cost(NamedTuple):
    """FLOPs (see the module) and parameters (without buffers) of a network or part of one."""

    flops: int
    parameters: int


class CostTable:
    """Costs of archs as sums over their parts; fvcore counts each part once per process, when it first occurs.

    The sum equals the count of the whole network exactly, at any input size, since fvcore counts operator by operator.
    Takes about 10 us per arch whose parts are in the table, against about 100 ms for a whole network.
    """

    def __init__(self) -> None:
        self._parts: dict[tuple, Cost] = {}

    def __len__(self) -> int:
        """The number of parts counted so far."""
        return len(self._parts)

    def flops(self, arch: Arch) -> int:
        """FLOPs of ``build_network(arch)`` at the arch's input size."""
        return self.cost(arch).flops

    def parameters(self, arch: Arch) -> int:
        """Parameters of ``build_network(arch)``."""
        return self.cost(arch).parameters

    def cost(self, arch: Arch) -> Cost:
        """FLOPs and parameters of ``build_network(arch)``; for another input size pass ``arch.at(size)``."""
        parts = self._parts
        flops = parameters = 0
        for key in part_keys(arch):
            part = parts.get(key)
            if part is None:
                part = parts[key] = part_cost(key)
            flops += part.flops
            parameters += part.parameters
        return Cost(flops, parameters)


def part_keys(arch: Arch) -> list[tuple]:
    """``(kind, input height, input width, *constructor arguments)`` of each part of backbone and head.

    Activations are left out: they cost nothing, so parts that differ only in them share an entry.
    """
    return [key for keys, _ in part_groups(arch) for key in keys]


def part_groups(arch: Arch) -> list[tuple[list[tuple], str | None]]:
    """``part_keys`` grouped, in order: stem, each stage and so on, each group with its activation."""
    height, width = arch.input_size
    groups: list[tuple[list[tuple], str | None]] = [
        ([("conv", height, width, 3, arch.stem, arch.stem_kernel, 2)], arch.stem_act)
    ]
    height, width, channels = (height + 1) // 2, (width + 1) // 2, arch.stem
    if arch.stem_pool:
        groups.append(([("pool", height, width, channels)], None))
        height, width = (height + 1) // 2, (width + 1) // 2
    for stage in arch.stages:
        groups.append((stage.layers(channels, height, width), stage.act))
        height, width = stage.out_size(height, width)
        channels = stage.width
    if arch.last_width:
        groups.append(([("conv", height, width, channels, arch.last_width, 1, 1)], arch.last_act))
    groups.append(([("head", height, width, arch.feature_width, arch.embedding)], None))
    return groups


PARTS: dict[str, Callable[..., nn.Module]] = {**LAYERS, "head": BNNeckHead}


def part_cost(key: tuple) -> Cost:
    """The cost of a part by its key (see ``part_keys``); blocks are counted by their pieces."""
    kind, *arguments = key
    if kind not in PIECES:
        height, width, *own = arguments
        return _count(PARTS[kind], height, width, *own)
    flops = parameters = 0
    for piece in PIECES[kind](*arguments):
        own = _count(piece.make, piece.height, piece.width, *piece.arguments)
        flops += piece.runs * own.flops
        parameters += piece.copies * own.parameters
    return Cost(flops, parameters)


@functools.cache
def _count(make: Callable[..., nn.Module], height: int, width: int, channels: int, *rest: Any) -> Cost:
    """The cost of a part, cached per process: every job fills a table of the space, which takes seconds."""
    with torch.random.fork_rng(devices=[]):  # drawing weights must not advance the caller's generator
        module = make(channels, *rest).eval()
    return Cost(count_flops(module, (channels, height, width)), count_parameters(module))


def flops_range(space: Space, table: CostTable) -> tuple[int, int]:
    """FLOPs of the smallest and the largest arch of ``space``; all others lie between."""
    return table.flops(smallest(space)), table.flops(largest(space))
