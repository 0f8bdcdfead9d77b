"""Elastic layers: each holds the largest weight and uses the leading part of it that the given widths need.

No layer stores a choice: the input width is read from the tensor, everything else is an argument. Each layer can copy
its active part into the plain layer of an extracted network.

The slicing follows Once-for-All (Cai et al. 2020, ``dynamic_layers.py``), without its hidden active state.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from reid.engine.machine.sync_batch_norm import batch_normalise
from supernet.layers.depthwise import depthwise_conv2d
from supernet.layers.kernel_transforms import KernelTransforms


class ElasticConv2d(nn.Module):
    """A dense or depthwise convolution of which any leading channels and any centred kernel can be used.

    Args:
        in_channels, out_channels: the greatest numbers of channels (equal for a depthwise convolution).
        kernel: the greatest kernel side.
        depthwise: one filter per channel; the output then has the input's channels.
        bias: whether each output channel has a bias; it starts at 0.
        transforms: maps from the greatest kernel to smaller ones; ``None``: the smaller ones are its centre.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        depthwise: bool = False,
        bias: bool = False,
        transforms: KernelTransforms | None = None,
    ) -> None:
        super().__init__()
        self.kernel, self.depthwise, self.transforms = kernel, depthwise, transforms
        self.weight = nn.Parameter(torch.empty(out_channels, 1 if depthwise else in_channels, kernel, kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_out")
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def active_weight(self, in_channels: int, out_channels: int, kernel: int) -> torch.Tensor:
        """The ``(out_channels, in_channels or 1, kernel, kernel)`` part in use: leading channels, and the centre of the
        kernel or what the transforms make of it."""
        border = (self.kernel - kernel) // 2
        inputs = 1 if self.depthwise else in_channels
        if self.transforms is not None:
            return self.transforms.shrink(self.weight[:out_channels, :inputs], kernel)
        return self.weight[:out_channels, :inputs, border : border + kernel, border : border + kernel]

    def forward(self, x: torch.Tensor, out_channels: int, kernel: int, stride: int = 1) -> torch.Tensor:
        """``(N, C, H, W)`` to ``(N, out_channels, ceil(H / stride), ceil(W / stride))``."""
        weight = self.active_weight(x.shape[1], out_channels, kernel)
        if self.depthwise and self.bias is None:
            return depthwise_conv2d(x, weight, stride)
        bias = None if self.bias is None else self.bias[:out_channels]
        groups = x.shape[1] if self.depthwise else 1
        return F.conv2d(x, weight, bias, stride, kernel // 2, groups=groups)

    @torch.no_grad()
    def copy_to(self, plain: nn.Conv2d) -> None:
        """Writes the part that ``plain``'s shape asks for into ``plain``."""
        plain.weight.copy_(self.active_weight(plain.in_channels, plain.out_channels, plain.kernel_size[0]))
        if self.bias is not None:
            plain.bias.copy_(self.bias[: plain.out_channels])


class ElasticBatchNorm(nn.Module):
    """BN over any leading channels of a ``(N, C, H, W)`` or ``(N, C)`` tensor.

    Training uses the batch's own statistics and leaves the running ones alone: a running mean over archs of different
    widths describes none of them. The running statistics exist to be set (by a test, or from a checkpoint); archs that
    are evaluated get theirs by calibration after extraction.

    Args:
        channels: the greatest number of channels.
        shift: whether the bias is trained (a BNNeck's is not).
    """

    def __init__(self, channels: int, shift: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels), requires_grad=shift)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.eps = 1e-5
        self.batch_normalise = batch_normalise  # over the batches of all processes after ``sync_batch_norm``

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape as ``x``."""
        return self.normalise(x, slice(0, x.shape[1]))

    def normalise(self, x: torch.Tensor, part: slice) -> torch.Tensor:
        """BN of ``x``, whose channels are this layer's channels ``part``."""
        weight, bias = self.weight[part], self.bias[part]
        if self.training:
            return self.batch_normalise(x, weight, bias, self.eps)
        mean, var = self.running_mean[part], self.running_var[part]
        return F.batch_norm(x, mean, var, weight, bias, False, 0.0, self.eps)

    @torch.no_grad()
    def copy_to(self, plain: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        """Writes the leading parameters and statistics into ``plain``."""
        c = plain.num_features
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(plain, name).copy_(getattr(self, name)[:c])


class ElasticLinear(nn.Module):
    """A linear layer without bias that takes any leading part of its inputs.

    Args:
        in_features: the greatest number of inputs.
        out_features: outputs, always all of them.
        std: standard deviation of the initial weights; ``None`` for torch's default initialisation.
    """

    def __init__(self, in_features: int, out_features: int, std: float | None = None) -> None:
        super().__init__()
        plain = nn.Linear(in_features, out_features, bias=False)
        if std is not None:
            nn.init.normal_(plain.weight, std=std)
        self.weight = plain.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, C)`` to ``(N, out_features)``."""
        return F.linear(x, self.weight[:, : x.shape[1]])

    @torch.no_grad()
    def copy_to(self, plain: nn.Linear) -> None:
        """Writes the part that takes ``plain``'s inputs into ``plain``."""
        plain.weight.copy_(self.weight[:, : plain.in_features])
