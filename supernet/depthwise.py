"""Depthwise convolution, with another way to its gradient where a CPU's own in bf16 is slow."""

from __future__ import annotations

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight


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
    learns = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    slow = stride > 1 or weight.shape[-1] > 3
    if slow and learns and dtype == torch.bfloat16 and x.device.type == "cpu":
        return _Bfloat16Depthwise.apply(x.to(dtype), weight.to(dtype), stride)
    return _convolve(x, weight, stride)


def _convolve(x: torch.Tensor, weight: torch.Tensor, stride: int = 1) -> torch.Tensor:
    return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=weight.shape[0])


class _Bfloat16Depthwise(torch.autograd.Function):
    """oneDNN has no fast bf16 kernel for two gradients of a depthwise convolution. They are made of others of its
    kernels:

    - Of the images at a stride: that of stride 1, of a gradient with zeros in between, which is a convolution by the
      filter turned half round. It takes a tenth of the time, on small maps a hundredth.
    - Of a filter larger than 3: in float32, in a fifth to a third of the time.
    """

    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return _convolve(x, weight, stride)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        x, weight = ctx.saved_tensors
        dx = dweight = None
        if ctx.needs_input_grad[0]:
            dx = _convolve(_zeros_between(dy, x, ctx.stride), weight.flip(2, 3))
        if ctx.needs_input_grad[1]:
            side = weight.shape[-1]
            if side > 3:
                x, dy = x.float(), dy.float()
            dweight = conv2d_weight(x, weight.shape, dy, ctx.stride, side // 2, groups=len(weight)).to(weight.dtype)
        return dx, dweight, None


def _zeros_between(dy: torch.Tensor, x: torch.Tensor, stride: int) -> torch.Tensor:
    """``dy`` on every ``stride``-th pixel of a map as large as ``x``."""
    if stride == 1:
        return dy
    spread = torch.zeros_like(x)
    spread[:, :, ::stride, ::stride] = dy
    return spread
