"""Costs of a network's units: that they add up, and what is told of each."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reid.models.backbones import build_backbone
from reid.models.heads import DEFAULT_HEAD, build_head
from reid.models.network import ReidNetwork, count_parameters
from search.costs import network_flops, unit_costs
from supernet.files import arch_from_rows, load_space
from supernet.network import build_network
from supernet.space.genome import smallest

SIZE = (64, 32)


def _of(name: str) -> ReidNetwork:
    if name == "rows":
        return build_network(arch_from_rows(((1, 8, 1, 1), (6, 16, 2, 2)), input_size=SIZE, last_width=32))
    if name == "osnet-like":
        return build_network(smallest(load_space(name)).at(SIZE))
    backbone = build_backbone(name)
    return ReidNetwork(backbone, build_head(DEFAULT_HEAD, backbone.feature_width))


@pytest.mark.parametrize("name", ["rows", "osnet-like", "osnet_x0_25", "resnet18"])
def test_units_add_up_to_the_network(name):
    network = _of(name)
    units = unit_costs(network, SIZE)
    assert sum(unit.flops for unit in units) == network_flops(network, SIZE)
    assert sum(unit.parameters for unit in units) == count_parameters(network)
    assert all(unit.path for unit in units), "each of these networks does all by its modules"
    assert units[-1].path == "head" and units[-1].shape == (network.feature_dim,)


def test_units_of_an_arch_are_its_blocks():
    units = unit_costs(_of("rows"), SIZE)
    assert [unit.path for unit in units] == ["stem", "stages.0.0", "stages.1.0", "stages.1.1", "last", "head"]
    assert [unit.shape for unit in units[:3]] == [(32, 32, 16), (8, 32, 16), (16, 16, 8)]
    # 3x3 from 3 to 32 channels, and 2 for each output of its BN.
    assert units[0].flops == 32 * 16 * 32 * (27 + 2) and units[0].parameters == 32 * 27 + 64


def test_what_no_module_does_has_a_line_of_its_own():
    class Backbone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, 1), nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 1))
            self.free = nn.Parameter(torch.zeros(4, 4, 1, 1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.two(nn.functional.conv2d(self.one(images), self.free))

    network = ReidNetwork(Backbone(), build_head(DEFAULT_HEAD, 4))
    units = unit_costs(network, (4, 4))
    assert [unit.path for unit in units] == ["one", "two.1", "head", ""]
    assert (units[-1].flops, units[-1].parameters) == (16 * 16, 16)


def test_the_network_is_left_as_it_was():
    network = _of("rows").train()
    unit_costs(network, SIZE)
    assert network.training and not network.backbone.stem._forward_hooks
