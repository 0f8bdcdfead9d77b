"""Residual branches that begin at 0, in every network that has some."""

from __future__ import annotations

from random import Random

import pytest
import torch
from torch import nn

from reid.models.backbones import build_backbone
from reid.models.residuals import residual_scales, zero_residuals
from supernet.files import ARCHS, load_arch, load_space
from supernet.layers.blocks import InvertedResidual
from supernet.network import build_network
from supernet.omni.layers import OmniScale
from supernet.sharing import Sharing
from supernet.space.genome import decode, largest, sample
from supernet.supernet import Supernet


def arch_network(name: str) -> nn.Module:
    return build_network(load_arch(ARCHS / f"{name}.yaml").arch)


NETWORKS = {
    # 17 blocks in the paper's table, of which the first one of each of seven stages has no shortcut.
    "MobileNetV2": (lambda: arch_network("mobilenetv2"), 10),
    "OSN-210M-C": (lambda: arch_network("OSN-210M-C"), 3 + 2 + 3),
    "OSNet": (lambda: build_backbone("osnet_x0_25"), 6),
    "OSNet-AIN": (lambda: build_backbone("osnet_ain_x1_0"), 6),
    "ResNet-18": (lambda: build_backbone("resnet18"), 8),
    "ResNet-50-IBN-a": (lambda: build_backbone("resnet50_ibn_a"), 16),
    "MobileNetV3": (lambda: timm_backbone("mobilenetv3_small_100"), 6),
    "EfficientNetV2": (lambda: timm_backbone("efficientnetv2_b0"), 15),
}
INVERTED = ("MobileNetV2", "MobileNetV3", "EfficientNetV2")
PROJECTED = {"OSN-210M-C": 3, "OSNet": 3, "OSNet-AIN": 3, "ResNet-18": 3, "ResNet-50-IBN-a": 4}
"""How many of the blocks have a convolution in their shortcut."""


def timm_backbone(name: str) -> nn.Module:
    pytest.importorskip("timm")
    return build_backbone(name)


def begin_at_shortcut(network: nn.Module) -> list[bool]:
    """For each block with an untouched shortcut whether it gives that alone, behind its activation if it has one."""
    found: list[bool] = []

    def look(block: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        x = inputs[0]
        if isinstance(block, InvertedResidual) or hasattr(block, "has_skip"):
            skips = block.residual if isinstance(block, InvertedResidual) else block.has_skip
            found.extend([torch.equal(output, x)] if skips else [])
        elif output.shape == x.shape:
            found.append(torch.equal(output, x.relu()))

    hooked = [
        m
        for m in network.modules()
        if type(m).__name__ in ("InvertedResidual", "OmniScale", "OSBlock", "BasicBlock", "Bottleneck")
        or hasattr(m, "has_skip")
    ]
    handles = [block.register_forward_hook(look) for block in hooked]
    with torch.no_grad():
        network.train()(torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0)))
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_each_block_begins_as_its_shortcut(name):
    make, branches = NETWORKS[name]
    network = make()
    assert not any(begin_at_shortcut(network))
    assert zero_residuals(network) == branches
    found = begin_at_shortcut(network)
    assert found and all(found)


@pytest.mark.parametrize("name", NETWORKS)
def test_auto_is_for_the_blocks_that_gain_by_it(name):
    make, branches = NETWORKS[name]
    network = make()
    wanted = branches if name in INVERTED else 0
    assert len(list(residual_scales(network, "auto"))) == wanted
    assert zero_residuals(network, "auto") == wanted
    assert sum(not scale.any() for scale in residual_scales(network)) == wanted


@pytest.mark.parametrize("name", NETWORKS)
def test_identity_is_for_blocks_whose_shortcut_has_no_convolution(name):
    make, branches = NETWORKS[name]
    network = make()
    untouched = [block for block in network.modules() if _projected(block)]
    assert len(untouched) == PROJECTED.get(name, 0)
    assert zero_residuals(network, "identity") == branches - len(untouched)
    inside = {id(parameter) for block in untouched for parameter in block.parameters()}
    assert all(bool(scale.any()) == (id(scale) in inside) for scale in residual_scales(network))


def _projected(block: nn.Module) -> bool:
    shortcut = getattr(block, "downsample", None)
    return isinstance(shortcut, nn.Module) and any(isinstance(part, nn.Conv2d) for part in shortcut.modules())


def test_none_is_none():
    network = arch_network("mobilenetv2")
    assert zero_residuals(network, False) == 0
    assert all(scale.all() for scale in residual_scales(network))


@pytest.mark.parametrize(("space", "gains"), [("tiny-plus", True), ("mlr-210m", True), ("osnet-like", False)])
def test_auto_is_for_supernets_of_those_blocks(space, gains):
    supernet = Supernet(load_space(space))
    known = len(list(residual_scales(supernet)))
    assert known and zero_residuals(supernet, "auto") == (known if gains else 0)


def test_what_has_no_branch_that_is_known_is_left_as_it_is():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    assert zero_residuals(network) == 0 and network[1].weight.all()


def test_nothing_else_changes_and_nothing_is_drawn():
    network = arch_network("mobilenetv2")
    scales = {id(scale) for scale in residual_scales(network)}
    before = [parameter.clone() for parameter in network.parameters()]
    state = torch.get_rng_state()
    zero_residuals(network)
    assert torch.equal(torch.get_rng_state(), state)
    for parameter, old in zip(network.parameters(), before, strict=True):
        assert (not parameter.any()) if id(parameter) in scales else torch.equal(parameter, old)


@pytest.mark.parametrize("depth", ["first", "ends", "own"])
@pytest.mark.parametrize("space", ["tiny-plus", "osnet-like"])
def test_blocks_of_a_supernet_begin_at_0_where_every_arch_has_their_shortcut(space, depth):
    space = load_space(space)
    supernet = Supernet(space, Sharing(depth=depth))
    zero_residuals(supernet)
    random = Random(0)
    for arch in [largest(space), *(decode(space, sample(space, random)) for _ in range(3))]:
        plain = supernet.extract(arch)
        for stage in plain.backbone.stages:
            blocks = [block for block in stage if isinstance(block, InvertedResidual | OmniScale)]
            for number, block in enumerate(blocks):
                has = isinstance(block, OmniScale) or number > 0
                scale = block.conv3.bn.weight if isinstance(block, OmniScale) else block.bn_pwl.weight
                assert scale.any() != has


def test_gradients_are_no_longer_longest_at_the_image():
    """A fresh MobileNetV2's stem has a gradient many times its last convolution's (Yang et al. 2019, "A mean field
    theory of batch normalization"), and with branches from 0 a far shorter one."""
    images = torch.randn(16, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(16, 1280, generator=torch.Generator().manual_seed(1))

    def ratio(zeroed: bool) -> float:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = arch_network("mobilenetv2").train()
        if zeroed:
            zero_residuals(network)
        (network(images) * weights).sum().backward()
        backbone = network.backbone
        return float(backbone.stem.conv.weight.grad.norm() / backbone.last.conv.weight.grad.norm())

    assert ratio(zeroed=False) > 4 * ratio(zeroed=True)
