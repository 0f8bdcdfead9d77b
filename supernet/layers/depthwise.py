"""Depthwise convolution, with its own gradients where torch's are slow on a CPU."""

from __future__ import annotations

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

FEW_PIXELS = 64
"""Up to this many pixels of a map, a filter's gradient is faster by pairs of pixels (``_weight_gradient``)."""


class DepthwiseConv2d(nn.Conv2d):
    """A filter for each channel, without bias; padding keeps the size at stride 1.

    Args:
        channels: of input and output.
        kernel: side of the filter, odd.
        stride: 1 or 2.
    """

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return depthwise_conv2d(x, self.weight, self.stride[0])


def depthwise_conv2d(x: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
    """``(N, C, H, W)`` and ``(C, 1, k, k)``, k odd, to ``(N, C, ceil(H / stride), ceil(W / stride))``."""
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    if _is_trained(x, weight) and x.device.type == "cpu" and _has_slow_gradient(dtype, x, weight.shape[-1], stride):
        return _Depthwise.apply(x.to(dtype), weight.to(dtype), stride)
    return _convolve(x, weight, stride)


def _is_trained(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether a gradient will be needed. A trace is of a finished network, and its readers (fvcore, an exporter) do not
    know this module's function."""
    return (x.requires_grad or weight.requires_grad) and torch.is_grad_enabled() and not torch.jit.is_tracing()


def _has_slow_gradient(dtype: torch.dtype, x: torch.Tensor, side: int, stride: int) -> bool:
    if dtype == torch.bfloat16:
        return stride > 1 or side > 3
    return dtype == torch.float32 and side > 3 and x.shape[2] * x.shape[3] <= FEW_PIXELS


def _convolve(x: torch.Tensor, weight: torch.Tensor, stride: int = 1) -> torch.Tensor:
    return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=weight.shape[0])


class _Depthwise(torch.autograd.Function):
    """The convolution with gradients that are as exact as oneDNN's, and faster where oneDNN has no fast kernel."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return _convolve(x, weight, stride)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        x, weight = ctx.saved_tensors
        dx = _input_gradient(x, weight, dy, ctx.stride) if ctx.needs_input_grad[0] else None
        dweight = _weight_gradient(x, weight, dy, ctx.stride) if ctx.needs_input_grad[1] else None
        return dx, dweight, None


def _input_gradient(x: torch.Tensor, weight: torch.Tensor, dy: torch.Tensor, stride: int) -> torch.Tensor:
    """The gradient of the input.

    In bf16 oneDNN has no fast kernel for it at stride 2. At stride 1 it is a convolution of ``dy`` with the filter
    rotated by 180 degrees; at stride 2, zeros are put between the pixels of ``dy`` first. This takes a tenth of the
    time, on small maps a hundredth."""
    if x.dtype != torch.bfloat16:
        return conv2d_input(x.shape, weight, dy, stride, weight.shape[-1] // 2, groups=len(weight))
    if stride > 1:
        spread = torch.zeros_like(x)
        spread[:, :, ::stride, ::stride] = dy
        dy = spread
    return _convolve(dy, weight.flip(2, 3))


def _weight_gradient(x: torch.Tensor, weight: torch.Tensor, dy: torch.Tensor, stride: int) -> torch.Tensor:
    """The gradient of the filters, by the fastest of three ways.

    oneDNN has fast kernels for filters up to a side of 3. With larger ones it is several times slower in bf16 than in
    float32, so they are computed in float32. On small maps it is slow in both; there it is up to ten times faster to
    multiply every pixel of the input by every pixel of the output, to sum over the batch, and then to add up, for each
    tap of the filter, the pairs of pixels that lie that far apart."""
    side = weight.shape[-1]
    if side <= 3:
        return conv2d_weight(x, weight.shape, dy, stride, side // 2, groups=len(weight))
    x, dy = x.float(), dy.float()
    if x.shape[2] * x.shape[3] > FEW_PIXELS:
        return conv2d_weight(x, weight.shape, dy, stride, side // 2, groups=len(weight)).to(weight.dtype)
    (images, channels, *size), out_size = x.shape, dy.shape[2:]
    pixels = x.permute(1, 2, 3, 0).reshape(channels, -1, images)
    pairs = pixels @ dy.permute(1, 0, 2, 3).reshape(channels, images, -1)
    rows, columns = (_taps(*sizes, side, stride) for sizes in zip(size, out_size, strict=True))
    pairs = pairs.view(channels, *size, *out_size)
    return torch.einsum("chwab,hai,wbj->cij", pairs, rows, columns)[:, None].to(weight.dtype)


def _taps(size: int, out_size: int, side: int, stride: int) -> torch.Tensor:
    """``(size, out_size, side)``: 1 where an input pixel contributes to an output pixel through this tap, else 0."""
    apart = torch.arange(size)[:, None] - stride * torch.arange(out_size) + side // 2
    return (apart[..., None] == torch.arange(side)).float()
