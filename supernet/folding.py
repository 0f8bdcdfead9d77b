"""The fastest form of an arch's network: BN folded into the convolutions before it, for inference alone.

BN in eval mode is a scale and a shift of each channel, which a convolution's weight and bias can absorb. A folded
network saves one read and write of each activation per convolution; its output differs by rounding.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from reid.models.blank import without_drawing
from supernet.layers.blocks import ConvBNAct, InvertedResidual
from supernet.omni.layers import LightConv

_PAIRS = {
    ConvBNAct: (("conv", "bn"),),
    InvertedResidual: (("conv_dw", "bn_dw"), ("conv_pwl", "bn_pwl")),
    LightConv: (("conv2", "bn"),),
}
"""Layers whose output goes through one BN and nowhere else, by the block that they are in."""


@torch.no_grad()
def fold_batch_norm(network: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Folds the BNs of an arch's blocks into their convolutions, in place; returns ``network``.

    Only for inference, on a network that is discarded afterwards: it then has other weights, and fits neither a
    checkpoint nor a FLOPs count. IBN, half of which depends on the image, and the head's BNNeck stay as they are, as do
    networks that are not archs.

    Args:
        network: with its final running statistics; ends in eval mode.
        dtype: of all convolutions. If it is not float32, run the network under ``torch.autocast`` of the same type:
            other layers stay in float32.
    """
    for block in list(network.modules()):
        for conv_name, bn_name in _PAIRS.get(type(block), ()):
            conv, bn = getattr(block, conv_name), getattr(block, bn_name)
            if isinstance(bn, nn.BatchNorm2d):
                setattr(block, conv_name, _folded(conv, bn))
                setattr(block, bn_name, nn.Identity())
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.to(dtype)
    return network.eval()


def _folded(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> nn.Conv2d:
    """The pair as a plain ``nn.Conv2d``: another class, such as ``DepthwiseConv2d``, may ignore a bias."""
    shape = (conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    with without_drawing():
        plain = nn.Conv2d(*shape, groups=conv.groups, bias=False)  # both parameters are set next
    statistics = (bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias)
    plain.weight, plain.bias = fuse_conv_bn_weights(conv.weight, conv.bias, *statistics)
    return plain
