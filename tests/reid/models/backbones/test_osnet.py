"""OSNet against the published counts, and against its equations written out as plain functions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reid.errors import UserError
from reid.models.backbones import build_backbone
from reid.models.backbones.osnet import OSNET_CHANNELS, osnet_imagenet_url
from reid.models.backbones.osnet_blocks import ChannelGate
from reid.models.network import count_parameters
from search.costs import network_counts
from tests.reid.models.backbones.kaiming import not_kaimings

PUBLISHED = {"osnet_x0_25": 82.3e6, "osnet_x0_5": 272.9e6, "osnet_x0_75": 571.8e6, "osnet_x1_0": 978.9e6}
"""Multiply-adds at 256x128 with the linear layer to 512 outputs (Zhou et al. 2019)."""

ALL = [
    pytest.param(name, marks=() if name in ("osnet_x0_25", "osnet_x1_0") else pytest.mark.slow) for name in PUBLISHED
]


@pytest.mark.parametrize("name", ALL)
def test_multiply_adds_are_the_published_ones(name):
    backbone = build_backbone(name)
    macs = network_counts(backbone, (256, 128)).conv_linear + 512 * backbone.feature_width
    assert macs == pytest.approx(PUBLISHED[name], abs=0.08e6)  # the paper rounds to 0.1M and counts biases


def test_parameters_are_the_published_ones():
    """torchreid reports 2,193,616 for x1.0: with the linear layer and its BN, and with the gate that four streams
    share counted four times."""
    backbone = build_backbone("osnet_x1_0")
    gates = sum(count_parameters(layer) for layer in backbone.modules() if isinstance(layer, ChannelGate))
    linear = 512 * 512 + 512 + 2 * 512
    assert count_parameters(backbone) + linear + 3 * gates == 2_193_616


def conv_bn(state, name, x, **options):
    x = F.conv2d(x, state[f"{name}.conv.weight"], **options)
    return batch_norm(state, f"{name}.bn", x)


def batch_norm(state, name, x):
    """By the running statistics; where there are none, by those of each image and channel (OSNet-IBN's stem)."""
    if f"{name}.running_mean" not in state:
        return instance_norm(state, name, x)
    mean, variance, weight, bias = (
        state[f"{name}.{key}"].view(-1, 1, 1) for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


def instance_norm(state, name, x):
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
    weight, bias = (state[f"{name}.{key}"].view(-1, 1, 1) for key in ("weight", "bias"))
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


def light_conv(state, name, x):
    x = F.conv2d(
        F.conv2d(x, state[f"{name}.conv1.weight"]), state[f"{name}.conv2.weight"], padding=1, groups=x.shape[1]
    )
    return batch_norm(state, f"{name}.bn", x).relu()


def gate(state, name, x):
    weights = x.mean((2, 3))
    for layer, activation in (("fc1", torch.relu), ("fc2", torch.sigmoid)):
        weight, bias = state[f"{name}.{layer}.weight"][:, :, 0, 0], state[f"{name}.{layer}.bias"]
        weights = activation(weights @ weight.T + bias)
    return x * weights[:, :, None, None]


def os_block(state, name, x):
    y = conv_bn(state, f"{name}.conv1", x).relu()
    total = 0
    for stream, depth in (("conv2a", 1), ("conv2b", 2), ("conv2c", 3), ("conv2d", 4)):
        z = y
        for step in range(depth):
            z = light_conv(state, f"{name}.{stream}" if depth == 1 else f"{name}.{stream}.{step}", z)
        total = total + gate(state, f"{name}.gate", z)
    shortcut = conv_bn(state, f"{name}.downsample", x) if f"{name}.downsample.conv.weight" in state else x
    if f"{name}.conv3.bn.weight" not in state:  # OSNet-AIN: instance normalisation in its place
        branch = F.conv2d(total, state[f"{name}.conv3.conv.weight"])
        return (instance_norm(state, f"{name}.IN", branch) + shortcut).relu()
    summed = conv_bn(state, f"{name}.conv3", total) + shortcut
    return (instance_norm(state, f"{name}.IN", summed) if f"{name}.IN.weight" in state else summed).relu()


def osnet(state, x):
    x = F.max_pool2d(conv_bn(state, "conv1", x, stride=2, padding=3).relu(), 3, stride=2, padding=1)
    for stage in ("conv2", "conv3", "conv4"):
        x = os_block(state, f"{stage}.1", os_block(state, f"{stage}.0", x))
        if stage != "conv4":
            x = F.avg_pool2d(conv_bn(state, f"{stage}.2.0", x).relu(), 2)
    return conv_bn(state, "conv5", x).relu()


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_x0_5", "osnet_ibn_x1_0", "osnet_ain_x1_0"])
def test_it_is_the_papers_equations_with_torchreids_names(name):
    torch.manual_seed(0)
    backbone = build_backbone(name).eval()
    for key, value in backbone.state_dict().items():
        if key.endswith(("bias", "running_mean")):
            value.normal_(std=0.1)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images), osnet(backbone.state_dict(), images), rtol=1e-4, atol=1e-5)


def test_where_osnet_ibn_has_instance_normalisation():
    """As torchreid's ``osnet_ibn_x1_0``: BN's place in the stem, and behind the sums of the first stage."""
    with torch.device("meta"):
        plain, ibn = (build_backbone(name) for name in ("osnet_x1_0", "osnet_ibn_x1_0"))
    places = {place for place, layer in ibn.named_modules() if isinstance(layer, nn.InstanceNorm2d)}
    assert places == {"conv1.bn", "conv2.0.IN", "conv2.1.IN"}
    own, theirs = set(plain.state_dict()), set(ibn.state_dict())
    assert theirs - own == {f"conv2.{block}.IN.{key}" for block in (0, 1) for key in ("weight", "bias")}
    assert own - theirs == {f"conv1.bn.{key}" for key in ("running_mean", "running_var", "num_batches_tracked")}
    assert count_parameters(ibn) == count_parameters(plain) + 2 * 2 * 256


def test_where_osnet_ain_has_instance_normalisation():
    """As torchreid's ``osnet_ain_x1_0``: BN's place in the stem, and on the branches of four blocks, in BN's place."""
    with torch.device("meta"):
        plain, ain = (build_backbone(name) for name in ("osnet_x1_0", "osnet_ain_x1_0"))
    places = {place for place, layer in ain.named_modules() if isinstance(layer, nn.InstanceNorm2d)}
    blocks = ("conv2.0", "conv2.1", "conv3.1", "conv4.0")
    assert places == {"conv1.bn", *(f"{block}.IN" for block in blocks)}
    own, theirs = set(plain.state_dict()), set(ain.state_dict())
    assert theirs - own == {f"{block}.IN.{key}" for block in blocks for key in ("weight", "bias")}
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    gone = {f"{block}.conv3.bn.{key}" for block in blocks for key in ("weight", "bias", *statistics)}
    assert own - theirs == gone | {f"conv1.bn.{key}" for key in statistics}
    assert count_parameters(ain) == count_parameters(plain)


def test_initialisation_is_torchreids():
    torch.manual_seed(0)
    assert not_kaimings(build_backbone("osnet_x1_0")) == []


def test_widths_are_multiples_of_the_standard_ones():
    for name, factor in (("osnet_x0_25", 0.25), ("osnet_x0_5", 0.5), ("osnet_x0_75", 0.75), ("osnet_x1_0", 1)):
        assert OSNET_CHANNELS[name] == tuple(int(factor * width) for width in (64, 256, 384, 512))


def test_our_own_width_is_within_210m_flops():
    """By fvcore's total at 256x128, as the search counts."""
    assert 205e6 < network_counts(build_backbone("osnet_x0_42"), (256, 128)).flops <= 210e6
    assert OSNET_CHANNELS["osnet_x0_42"] == tuple(4 * round(0.42 * width / 4) for width in (64, 256, 384, 512))


def test_nobody_has_imagenet_weights_of_our_own_width():
    with pytest.raises(UserError, match="no ImageNet weights of osnet_x0_42: train it from scratch"):
        osnet_imagenet_url("osnet_x0_42")
