"""The activations that a stage may have, as layers and as functions."""

from __future__ import annotations

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

RELU6, H_SWISH = "relu6", "h-swish"
ACTIVATIONS = (RELU6, H_SWISH)
"""Those that an inverted residual stage may have, the cheaper one first. h-swish is ``x * relu6(x + 3) / 6`` (Howard et
al. 2019, MobileNetV3)."""

RELU = "relu"
"""That of omni-scale stages, which have no choice of it."""

LINEAR = "linear"
"""None: of convolutions whose output is added to something."""


def activation_layer(name: str) -> nn.Module:
    """A new layer; ``name`` is one of ``ACTIVATIONS``, ``RELU`` or ``LINEAR``."""
    return {RELU6: ReLU6, H_SWISH: HSwish, RELU: ReLU, LINEAR: nn.Identity}[name]()


def activate(x: torch.Tensor, name: str) -> torch.Tensor:
    """What ``activation_layer(name)`` does to ``x``; ``x`` may be overwritten."""
    return {RELU6: _relu6, H_SWISH: _h_swish, RELU: torch.relu_, LINEAR: _linear}[name](x)


class ReLU(nn.ReLU):
    """torch's ReLU, always in place: its gradient needs the result alone."""

    def __init__(self) -> None:
        super().__init__(inplace=True)


class ReLU6(nn.ReLU6):
    """torch's ReLU6, whose gradient needs a third less memory; see ``_KeptReLU6``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _relu6(x)


class HSwish(nn.Hardswish):
    """torch's h-swish, in place where nothing is to be learned."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _h_swish(x)


def _relu6(x: torch.Tensor) -> torch.Tensor:
    if not _is_trained(x):
        return F.hardtanh(x, 0.0, 6.0, inplace=True)
    if torch.compiler.is_compiling():  # it decides itself what to keep
        return F.hardtanh(x, 0.0, 6.0)
    return _KeptReLU6.apply(x)


def _h_swish(x: torch.Tensor) -> torch.Tensor:
    # In place it would copy its input first, which its gradient needs.
    return F.hardswish(x, inplace=not _is_trained(x))


def _linear(x: torch.Tensor) -> torch.Tensor:
    return x


def _is_trained(x: torch.Tensor) -> bool:
    """Whether a gradient will be asked for; a trace is of a network that is done."""
    return x.requires_grad and torch.is_grad_enabled() and not torch.jit.is_tracing()


class _KeptReLU6(torch.autograd.Function):
    """ReLU6 that keeps its result for the gradient, not its argument as torch's does.

    Both tell alike where the gradient flows, to the last bit. The result is kept by the next convolution anyway, the
    argument by nothing else: without it a convolution, its BN and its activation keep two maps in place of three.
    torch's in-place variant is no help, as it copies its argument before it overwrites it.
    """

    @staticmethod
    def forward(ctx, x: torch.Tensor) -> torch.Tensor:
        y = x.clamp(0, 6)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: torch.Tensor) -> torch.Tensor:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(dy, y, 0.0, 6.0)
