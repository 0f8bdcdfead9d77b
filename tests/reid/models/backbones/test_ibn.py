"""IBN by its formula, and which layers of a ResNet it replaces."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reid.errors import UserError
from reid.models.backbones import build_backbone
from reid.models.backbones.ibn import IBN


def normalised(x, dims):
    mean, variance = x.mean(dims, keepdim=True), x.var(dims, unbiased=False, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


@pytest.mark.parametrize("channels", [6, 7])
def test_first_half_by_image_and_the_rest_by_batch(channels):
    layer = IBN(channels).train()
    x = torch.randn(4, channels, 5, 3, generator=torch.Generator().manual_seed(0)) * 3 + 1
    scale, shift = torch.rand(channels) + 0.5, torch.randn(channels)
    with torch.no_grad():
        layer.IN.weight.copy_(scale[:3]), layer.IN.bias.copy_(shift[:3])
        layer.BN.weight.copy_(scale[3:]), layer.BN.bias.copy_(shift[3:])
        wanted = torch.cat((normalised(x[:, :3], (2, 3)), normalised(x[:, 3:], (0, 2, 3))), dim=1)
        wanted = wanted * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
        torch.testing.assert_close(layer(x), wanted, rtol=1e-4, atol=1e-5)


def test_in_eval_mode_only_the_rest_uses_running_statistics():
    layer = IBN(4).eval()
    layer.BN.running_mean.fill_(2.0)
    layer.BN.running_var.fill_(4.0)
    x = torch.randn(3, 4, 5, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = layer(x)
    torch.testing.assert_close(y[:, :2], normalised(x[:, :2], (2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(y[:, 2:], (x[:, 2:] - 2) / (4 + 1e-5) ** 0.5)


def test_an_images_brightness_and_contrast_do_not_reach_the_first_half():
    layer = IBN(4).eval()
    x = torch.randn(2, 4, 8, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(layer(3 * x + 5)[:, :2], layer(x)[:, :2], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "size"), [("resnet18_ibn_a", (16, 16)), ("osnet_ain_x1_0", (24, 16))])
def test_images_too_small_for_instance_normalisation_are_refused_in_a_line(name, size):
    backbone = build_backbone(name)
    with pytest.raises(UserError, match="map of more than one pixel; use larger images"):
        backbone(torch.zeros(2, 3, *size))
    with torch.no_grad():
        assert backbone(torch.zeros(2, 3, 32, 32)).shape[0] == 2


@pytest.mark.parametrize(("name", "blocks"), [("resnet18_ibn_a", 2 + 2 + 2), ("resnet50_ibn_a", 3 + 4 + 6)])
def test_it_stands_in_every_block_of_the_first_three_stages(name, blocks):
    """As IBN-Net's code has it; its weights are called ``layer1.0.bn1.IN.weight`` and so on."""
    with torch.device("meta"):
        trunk = build_backbone(name).trunk
    places = {place for place, layer in trunk.named_modules() if isinstance(layer, IBN)}
    assert len(places) == blocks
    assert places == {
        f"layer{stage}.{block}.bn1" for stage in (1, 2, 3) for block in range(len(getattr(trunk, f"layer{stage}")))
    }
    assert {"layer1.0.bn1.IN.weight", "layer3.1.bn1.BN.running_var"} <= set(trunk.state_dict())
    assert not any(isinstance(layer, nn.InstanceNorm2d) for layer in trunk.layer4.modules())


@pytest.mark.parametrize("depth", [18, 50])
def test_it_adds_no_parameters(depth):
    """Pan et al. 2018: the same model complexity as the ResNet's."""
    with torch.device("meta"):
        plain, ibn = build_backbone(f"resnet{depth}"), build_backbone(f"resnet{depth}_ibn_a")
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in ibn.parameters())
