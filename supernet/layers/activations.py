"""The activations that a stage may have, as layers and as functions."""

from __future__ import annotations

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

RELU6, H_SWISH = "relu6", "h-swish"
ACTIVATIONS = (RELU6, H_SWISH)
"""The choices for an inverted residual stage, the cheaper one first. h-swish is ``x * relu6(x + 3) / 6`` (Howard et
al. 2019, MobileNetV3)."""

RELU = "relu"
"""The activation of omni-scale stages, where it is not a choice."""

LINEAR = "linear"
"""No activation: for convolutions whose output is added to something."""


def activation_layer(name: str) -> nn.Module:
    """A new layer; ``name`` is one of ``ACTIVATIONS``, ``RELU`` or ``LINEAR``."""
    return {RELU6: ReLU6, H_SWISH: HSwish, RELU: ReLU, LINEAR: nn.Identity}[name]()


def activate(x: torch.Tensor, name: str) -> torch.Tensor:
    """The output of ``activation_layer(name)`` for ``x``, which may be overwritten."""
    return {RELU6: _relu6, H_SWISH: _h_swish, RELU: torch.relu_, LINEAR: _linear}[name](x)


class ReLU(nn.ReLU):
    """torch's ReLU, always in place: its gradient needs only the output."""

    def __init__(self) -> None:
        super().__init__(inplace=True)


class ReLU6(nn.ReLU6):
    """torch's ReLU6, whose gradient needs a third less memory; see ``_KeptReLU6``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _relu6(x)


class HSwish(nn.Hardswish):
    """torch's h-swish, in place where no gradient is needed."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _h_swish(x)


def _relu6(x: torch.Tensor) -> torch.Tensor:
    if not _is_trained(x):
        return F.hardtanh(x, 0.0, 6.0, inplace=True)
    if torch.compiler.is_compiling():  # the compiler decides itself what to keep
        return F.hardtanh(x, 0.0, 6.0)
    return _KeptReLU6.apply(x)


def _h_swish(x: torch.Tensor) -> torch.Tensor:
    # In place, torch would first copy the input, which the gradient needs.
    return F.hardswish(x, inplace=not _is_trained(x))


def _linear(x: torch.Tensor) -> torch.Tensor:
    return x


def _is_trained(x: torch.Tensor) -> bool:
    """Whether a gradient will be needed; a trace is of a finished network and needs none."""
    return x.requires_grad and torch.is_grad_enabled() and not torch.jit.is_tracing()


class _KeptReLU6(torch.autograd.Function):
    """ReLU6 that keeps its output for the gradient, not its input as torch's does.

    Both give the same gradient, to the last bit. The next convolution keeps the output anyway, and nothing else keeps
    the input: without it a convolution, its BN and its activation keep two maps instead of three. torch's in-place
    variant does not help, as it copies its input before overwriting it.
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
