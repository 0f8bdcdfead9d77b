"""FLOPs of any network by fvcore.

FLOPs are what ``fvcore.nn.FlopCountAnalysis`` counts with its default handles on the inference network (backbone and
embedding, no classifier) in eval mode for one image. A multiply-add counts once, BN counts 2 per output element,
instance normalisation 5 (it must read its input), and global average pooling 1 per input element. Activations, other
pooling, residual additions, biases and the products of gates count nothing.

fvcore has no handle for attention that torch computes in one call, as in timm's networks, and would silently count 0.
Here it counts as its two matrix products, as fvcore counts them when they are written out.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from supernet.arch import Arch
from supernet.network import build_network

with warnings.catch_warnings():  # on import, fvcore scripts a loss, which torch now calls deprecated
    warnings.simplefilter("ignore")
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import elementwise_flop_counter, get_shape

_ACTIVATIONS = (
    "celu elu gelu glu hardsigmoid hardswish hardtanh leaky_relu log_sigmoid mish prelu relu relu6 selu"
    " sigmoid silu softplus tanh"
).split()


def network_flops(network: nn.Module, size: tuple[int, int]) -> int:
    """fvcore's total for any network on one image of ``(height, width)``; the network is not changed."""
    return count_flops(network, (3, *size))


def count_flops(module: nn.Module, shape: tuple[int, ...]) -> int:
    """fvcore's total for a network or part of one on one input of ``shape``, without the batch dimension."""
    return _count(module, shape).total()


def module_flops(network: nn.Module, size: tuple[int, int]) -> dict[str, int]:
    """fvcore's totals by module name for one image of ``(height, width)``; ``""`` is the whole network. A module that
    does not run has 0."""
    counts = _analyse(network, (3, *size), FlopCountAnalysis.by_module)
    return {name: int(count) for name, count in counts.items()}


def whole_network_flops(arch: Arch) -> int:
    """FLOPs of ``build_network(arch)`` analysed as a whole; the table's sums are equal to this."""
    with torch.random.fork_rng(devices=[]):
        network = build_network(arch)
    return network_flops(network, arch.input_size)


class NetworkCounts(NamedTuple):
    """The three counts for one image that tables of networks use.

    Attributes:
        flops: fvcore's total, to which a FLOPs limit applies. MobileNetV2's features at 256x128: 204.311M.
        conv_linear: multiply-adds of convolutions and linear layers only, as in most papers: 195.588M.
        mlr: MLR's convention, in which activations count too: fvcore's total plus 1 per output of an activation,
            204.311M + 3.987M (ReLU6) = 208.298M, which MLR's tables call 210M.
    """

    flops: int
    conv_linear: int
    mlr: int


def network_counts(network: nn.Module, size: tuple[int, int]) -> NetworkCounts:
    """All three counts of any network from one analysis; arguments as for ``network_flops``."""
    one_per_output = elementwise_flop_counter(0, 1)
    names = {f"{name}{end}" for name in _ACTIVATIONS for end in ("", "_")}
    counts = _count(network, (3, *size), **{f"aten::{name}": one_per_output for name in names})
    conv_linear = counts["conv"] + counts["linear"] + counts["addmm"]
    return NetworkCounts(counts.total() - sum(counts[name] for name in names), conv_linear, counts.total())


def conv_linear_macs(network: nn.Module, size: tuple[int, int]) -> int:
    """Multiply-adds of convolutions and linear layers only; see ``NetworkCounts``."""
    return network_counts(network, size).conv_linear


def _count(network: nn.Module, shape: tuple[int, ...], **handles: Callable) -> Counter[str]:
    """fvcore's counts by operator for an input of ``shape`` (without the batch dimension), with extra handles."""
    counts = _analyse(network, shape, FlopCountAnalysis.by_operator, **handles)
    return Counter({name: int(count) for name, count in counts.items()})


def _analyse(
    network: nn.Module, shape: tuple[int, ...], counts: Callable[[FlopCountAnalysis], Counter[str]], **handles: Callable
) -> Counter[str]:
    """Applies ``counts`` to fvcore's analysis, which is computed lazily."""
    # A copy, since the analysis needs eval mode and the CPU, and the network may be in training on a GPU.
    network = copy.deepcopy(network).cpu().eval()
    with warnings.catch_warnings(), torch.no_grad():  # fvcore uses a deprecated tracer
        warnings.simplefilter("ignore")
        own = {"aten::scaled_dot_product_attention": _attention_flops} | handles
        analysis = FlopCountAnalysis(network, torch.zeros(1, *shape)).set_op_handle(**own)
        return counts(analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False))


def _attention_flops(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """FLOPs of queries ``(..., L, E)`` times keys ``(..., S, E)``, and of the weights times values ``(..., S, F)``."""
    (*batch, length, width), (*_, keys, _), (*_, out_width) = (get_shape(value) for value in inputs[:3])
    return math.prod(batch) * length * keys * (width + out_width)
