"""What an arch costs: FLOPs and parameters from a table of its blocks, and counts of any whole network.

One "FLOP" is what ``fvcore.nn.FlopCountAnalysis`` counts with its default handles, on the inference network
(backbone and embedding, no classifier) in eval mode, for one image: a multiply-add counts once, BN counts 2
for each element of its output, instance normalisation 5 (it has to look at its input), global average pooling 1 for
each of its input; activations, other pooling, residual additions, biases and the products of gates count nothing.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections import Counter
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import torch
from torch import nn

from reid.errors import UserError
from reid.models.heads import BNNeckHead
from reid.models.network import count_parameters
from supernet.arch import Arch
from supernet.genome import largest, smallest
from supernet.layers import LAYERS
from supernet.network import build_network
from supernet.space import Space

with warnings.catch_warnings():  # fvcore scripts a loss when it is imported, which torch now calls deprecated
    warnings.simplefilter("ignore")
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import elementwise_flop_counter

_ACTIVATIONS = (
    "celu elu gelu glu hardsigmoid hardswish hardtanh leaky_relu log_sigmoid mish prelu relu relu6 selu"
    " sigmoid silu softplus tanh"
).split()


class Cost(NamedTuple):
    """FLOPs (see the module) and parameters (buffers not) of a network or of a part of one."""

    flops: int
    parameters: int


class CostTable:
    """Costs of archs as sums over their parts; fvcore counts each part once, when it is first met.

    The sum equals the count of the whole network exactly, at any input size, since fvcore counts operator by
    operator. About 10 us per arch once its parts are in the table, against about 100 ms for a whole network.
    """

    def __init__(self) -> None:
        self._parts: dict[tuple, Cost] = {}

    def __len__(self) -> int:
        """Parts counted so far."""
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
                part = parts[key] = _count_part(key)
            flops += part.flops
            parameters += part.parameters
        return Cost(flops, parameters)


def part_keys(arch: Arch) -> list[tuple]:
    """``(kind, input height, input width, *constructor arguments)`` of each part of backbone and head.

    Activations are left out: they cost nothing, and parts that differ in them share their entry.
    """
    return [key for keys, _ in part_groups(arch) for key in keys]


def part_groups(arch: Arch) -> list[tuple[list[tuple], str | None]]:
    """``part_keys`` by their activation: those of the stem, of each stage and so on, in order."""
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


def _count_part(key: tuple) -> Cost:
    kind, height, width, channels, *rest = key
    with torch.random.fork_rng(devices=[]):  # weights are drawn, but not from anybody's numbers
        module = PARTS[kind](channels, *rest).eval()
    return Cost(_count(module, (channels, height, width)).total(), count_parameters(module))


def flops_range(space: Space, table: CostTable) -> tuple[int, int]:
    """FLOPs of the smallest and of the largest arch of ``space``; those of every other arch lie between."""
    return table.flops(smallest(space)), table.flops(largest(space))


def whole_network_flops(arch: Arch) -> int:
    """FLOPs of ``build_network(arch)`` analysed in one piece: what the table's sums are equal to."""
    with torch.random.fork_rng(devices=[]):
        network = build_network(arch)
    return network_flops(network, arch.input_size)


def network_flops(network: nn.Module, size: tuple[int, int]) -> int:
    """fvcore's total for any network on one image of ``(height, width)``; the network is left as it is."""
    return _count(network, (3, *size)).total()


class NetworkCounts(NamedTuple):
    """The three counts that tables of networks use, for one image.

    Attributes:
        flops: fvcore's total; what a FLOPs limit is about. MobileNetV2's features at 256x128: 204.311M.
        conv_linear: multiply-adds of convolutions and linear layers alone, as in most papers: 195.588M.
        mlr: MLR's convention, where activations count too: fvcore's total plus 1 for each output of an
            activation: 204.311M + 3.987M (ReLU6) = 208.298M, which MLR's tables call 210M.
    """

    flops: int
    conv_linear: int
    mlr: int


def network_counts(network: nn.Module, size: tuple[int, int]) -> NetworkCounts:
    """All three counts of any network from one analysis; arguments as ``network_flops``'s."""
    one_per_output = elementwise_flop_counter(0, 1)
    names = {f"{name}{end}" for name in _ACTIVATIONS for end in ("", "_")}
    counts = _count(network, (3, *size), **{f"aten::{name}": one_per_output for name in names})
    conv_linear = counts["conv"] + counts["linear"] + counts["addmm"]
    return NetworkCounts(counts.total() - sum(counts[name] for name in names), conv_linear, counts.total())


def conv_linear_macs(network: nn.Module, size: tuple[int, int]) -> int:
    """Multiply-adds of convolutions and linear layers alone; see ``NetworkCounts``."""
    return network_counts(network, size).conv_linear


def mlr_flops(network: nn.Module, size: tuple[int, int]) -> int:
    """FLOPs in MLR's convention; see ``NetworkCounts``."""
    return network_counts(network, size).mlr


def _count(network: nn.Module, shape: tuple[int, ...], **handles: Callable) -> Counter[str]:
    """fvcore's counts by operator for an input of ``shape`` (without the batch), with extra handles."""
    # A copy, since the analysis needs eval mode and the CPU, and the network may be in training on a GPU.
    network = copy.deepcopy(network).cpu().eval()
    with warnings.catch_warnings(), torch.no_grad():  # the tracer that fvcore uses is deprecated
        warnings.simplefilter("ignore")
        analysis = FlopCountAnalysis(network, torch.zeros(1, *shape)).set_op_handle(**handles)
        counts = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    return Counter({name: int(count) for name, count in counts.items()})


def format_flops(flops: float) -> str:
    """``204354048`` as ``"204.4M"``; from 10 billion on in G, below 100,000 in K."""
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if flops >= {"G": 1e10, "M": 1e5, "K": 1e3}[unit]:
            return f"{flops / scale:.1f}{unit}"
    return f"{flops:.0f}"


def parse_flops(text: str | int | float) -> int:
    """A number of FLOPs: ``210M``, ``0.21G``, ``210e6`` and ``210000000`` are the same.

    Raises:
        UserError: it is no positive number with an optional K, M or G behind it.
    """
    written = str(text).strip()
    scale = {"K": 10**3, "M": 10**6, "G": 10**9}.get(written[-1:].upper(), 1)
    try:
        value = Decimal(written[:-1] if scale > 1 else written) * scale
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value < 1 or not math.isfinite(float(value)):
        raise UserError(f"FLOPs '{text}': give a positive number such as 210M, 0.21G or 210000000")
    return round(value)
