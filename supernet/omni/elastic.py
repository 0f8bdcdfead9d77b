"""Elastic twins of ``supernet.omni.layers``: leading channels, the first streams, the centre of each kernel."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from reid.models.backbones.osnet_blocks import ChannelGate, gate_units
from supernet.elastic_blocks import ElasticConvBNAct
from supernet.layers.activations import LINEAR, activate
from supernet.layers.elastic import ElasticBatchNorm, ElasticConv2d
from supernet.layers.kernel_transforms import KernelTransforms
from supernet.omni.arch import OmniBlock, OmniStage
from supernet.omni.layers import LightConv, OmniScale
from supernet.omni.space import OmniStageSpace
from supernet.sharing import PLAIN, Sharing


class ElasticLightConv(nn.Module):
    """Elastic twin of ``LightConv``.

    Args:
        channels: the greatest number of channels.
        kernels: sides of the depthwise filter, ascending.
        kernel_transforms: see ``supernet.layers.kernel_transforms``.
    """

    def __init__(self, channels: int, kernels: tuple[int, ...], kernel_transforms: bool) -> None:
        super().__init__()
        transforms = KernelTransforms(kernels) if kernel_transforms and len(kernels) > 1 else None
        self.conv1 = ElasticConv2d(channels, channels, 1)
        self.conv2 = ElasticConv2d(channels, channels, kernels[-1], depthwise=True, transforms=transforms)
        self.bn = ElasticBatchNorm(channels)

    def forward(self, x: torch.Tensor, kernel: int, act: str) -> torch.Tensor:
        """``(N, C, H, W)`` to the same shape."""
        channels = x.shape[1]
        return activate(self.bn(self.conv2(self.conv1(x, channels, 1), channels, kernel)), act)

    def copy_to(self, plain: LightConv) -> None:
        for name in ("conv1", "conv2", "bn"):
            getattr(self, name).copy_to(getattr(plain, name))


class ElasticGate(nn.Module):
    """Elastic twin of ``ChannelGate``.

    Args:
        channels: the greatest number of channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = ElasticConv2d(channels, gate_units(channels), 1, bias=True)
        self.fc2 = ElasticConv2d(gate_units(channels), channels, 1, bias=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to the same shape."""
        channels = x.shape[1]
        units = F.relu(self.fc1(F.adaptive_avg_pool2d(x, 1), gate_units(channels), 1))
        return x * torch.sigmoid(self.fc2(units, channels, 1))

    def copy_to(self, plain: ChannelGate) -> None:
        self.fc1.copy_to(plain.fc1)
        self.fc2.copy_to(plain.fc2)


class ElasticOmniScale(nn.Module):
    """Elastic twin of ``OmniScale``. The n-th stream is shared by all blocks that have one.

    Args:
        in_channels, stage: the greatest input width and the choices of the block's stage.
        project: whether the shortcut is a 1x1 convolution.
        kernel_transforms: see ``supernet.layers.kernel_transforms``.
    """

    def __init__(self, in_channels: int, stage: OmniStageSpace, project: bool, kernel_transforms: bool) -> None:
        super().__init__()
        hidden, out_channels = stage.hidden[-1], stage.widths[-1]
        self.conv1 = ElasticConvBNAct(in_channels, hidden, 1, 1)
        self.streams = nn.ModuleList(
            nn.ModuleList(ElasticLightConv(hidden, stage.kernels, kernel_transforms) for _ in range(count))
            for count in range(1, stage.streams[-1] + 1)
        )
        self.gate = ElasticGate(hidden)
        self.conv3 = ElasticConvBNAct(hidden, out_channels, 1, 1)
        self.downsample = ElasticConvBNAct(in_channels, out_channels, 1, 1) if project else None

    @property
    def residual_scale(self) -> nn.Parameter:
        """See ``reid.models.residuals``."""
        return self.conv3.bn.weight

    def forward(self, x: torch.Tensor, stage: OmniStage, block: OmniBlock) -> torch.Tensor:
        """``(N, C, H, W)`` to ``(N, stage.width, H, W)``; ``block`` is one of ``stage``'s."""
        y, total = self.conv1(x, block.hidden, stage.act), None
        for stream in self.streams[: block.streams]:
            z = y
            for light in stream:
                z = light(z, block.kernel, stage.act)
            gated = self.gate(z)
            total = gated if total is None else total + gated
        shortcut = x if self.downsample is None else self.downsample(x, stage.width, LINEAR)
        return activate(self.conv3(total, stage.width, LINEAR) + shortcut, stage.act)

    def copy_to(self, plain: OmniScale) -> None:
        for name in ("conv1", "gate", "conv3"):
            getattr(self, name).copy_to(getattr(plain, name))
        for stream, plain_stream in zip(self.streams, plain.streams, strict=False):
            for light, plain_light in zip(stream, plain_stream, strict=True):
                light.copy_to(plain_light)
        if self.downsample is not None:
            self.downsample.copy_to(plain.downsample)


class ElasticOmniStage(nn.Module):
    """Elastic stage of omni-scale blocks; see ``supernet.elastic_stages``."""

    def __init__(self, in_channels: int, stage: OmniStageSpace, sharing: Sharing = PLAIN) -> None:
        super().__init__()
        width, first = stage.widths[-1], sharing.first_blocks(stage.depths)
        self.blocks = nn.ModuleList(
            ElasticOmniScale(
                in_channels if number in first else width, stage, number in first, sharing.kernel_transforms
            )
            for number in range(sharing.held(stage.depths))
        )
        self.depths, self.sharing = stage.depths, sharing
        self.transition = ElasticConvBNAct(width, width, 1, 1) if stage.transition[-1] else None

    def forward(self, x: torch.Tensor, stage: OmniStage) -> torch.Tensor:
        numbers = self.sharing.blocks(self.depths, len(stage.blocks))
        for number, block in zip(numbers, stage.blocks, strict=True):
            x = self.blocks[number](x, stage, block)
        if stage.transition:
            x = self.transition(x, stage.width, stage.act)
        return F.avg_pool2d(x, 2) if stage.stride == 2 else x

    def copy_to(self, plain: nn.Sequential) -> None:
        *plain_blocks, transition = plain
        numbers = self.sharing.blocks(self.depths, len(plain_blocks))
        for number, block in zip(numbers, plain_blocks, strict=True):
            self.blocks[number].copy_to(block)
        if hasattr(transition, "conv"):
            self.transition.copy_to(transition.conv)
