"""Breakdown of a network's FLOPs and parameters by unit: convolutions with their BN, and whole blocks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from reid.models.network import ReidNetwork, count_parameters
from search.costs.fvcore_counts import module_flops

CONTAINERS = (nn.Sequential, nn.ModuleList)
"""Modules that hold units without being one; blocks derived from them are units."""


@dataclass(frozen=True)
class UnitCost:
    """A part of a network that is listed as one unit.

    Attributes:
        path: its module's name in the backbone, ``stages.0.1``; ``head``; or empty for operations outside all units,
            such as pooling in a backbone's own ``forward``.
        kind: its module's class.
        shape: ``(channels, height, width)`` of its output, or ``(length,)``; empty if ``path`` is empty.
        flops: fvcore's count for one image; see ``search.costs.fvcore_counts``.
        parameters: weights and biases.
    """

    path: str
    kind: str
    shape: tuple[int, ...]
    flops: int
    parameters: int


def unit_costs(network: ReidNetwork, size: tuple[int, int]) -> list[UnitCost]:
    """The units of ``network`` for one image of ``(height, width)``, in the order in which they run. Their FLOPs and
    parameters add up to those of the whole network.

    Modules that cost nothing and keep the map's shape, such as activations and identities, are left out.
    """
    flops = module_flops(network, size)
    network = copy.deepcopy(network).cpu().eval()
    modules = {f"backbone.{path}": module for path, module in _units(network.backbone)} | {"head": network.head}
    shapes = _shapes(network, modules, size)
    told, before = [], (3, *size)
    for name, shape in shapes.items():
        module = modules[name]
        unit = UnitCost(
            name.removeprefix("backbone."), type(module).__name__, shape, flops[name], count_parameters(module)
        )
        if unit.flops or unit.parameters or shape != before:
            told.append(unit)
        before = shape
    missing = flops[""] - sum(unit.flops for unit in told)
    unnamed = count_parameters(network) - sum(unit.parameters for unit in told)
    return [*told, UnitCost("", "", (), missing, unnamed)] if missing or unnamed else told


def _units(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Modules below ``module`` that are not containers; for a backbone that only wraps another, the inner one's."""
    children = list(module.named_children())
    for name, child in children:
        inner = f"{path}.{name}" if path else name
        if type(child) in CONTAINERS or (len(children) == 1 and not path and list(child.children())):
            yield from _units(child, inner)
        else:
            yield inner, child


def _shapes(network: ReidNetwork, modules: dict[str, nn.Module], size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Output shapes of modules without the batch dimension, by name in the order in which they run; modules that are
    not run are left out."""
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Callable:
        def hook(_: nn.Module, __: tuple, out: torch.Tensor) -> None:
            shapes[name] = tuple(getattr(out, "embedding", out).shape[1:])

        return hook

    for name, module in modules.items():
        module.register_forward_hook(note(name))
    with torch.no_grad():
        network(torch.zeros(1, 3, *size))
    return shapes
