"""Networks that are built without drawing their weights."""

from __future__ import annotations

import torch
from torch import nn

from reid.models.blank import without_drawing
from supernet.files import mobilenet_v2
from supernet.network import build_network


def test_same_shapes_and_no_number_drawn():
    arch = mobilenet_v2((64, 32))
    with torch.random.fork_rng():
        usual = build_network(arch)
        before = torch.get_rng_state()
        with without_drawing():
            blank = build_network(arch)
        assert torch.equal(torch.get_rng_state(), before)
    shapes, expected = (
        {name: (value.shape, value.dtype, value.device) for name, value in network.state_dict().items()}
        for network in (blank, usual)
    )
    assert shapes == expected
    flags, wanted = ([each.requires_grad for each in network.parameters()] for network in (blank, usual))
    assert flags == wanted
    blank.load_state_dict(usual.state_dict())
    images = torch.randn(2, 3, 64, 32)
    assert torch.equal(blank.eval()(images), usual.eval()(images))


def test_weights_stay_as_they_are_inside_and_are_drawn_outside():
    weight = torch.full((4, 3), 7.0)
    with without_drawing():
        for draw in (nn.init.kaiming_normal_, nn.init.kaiming_uniform_, nn.init.xavier_normal_, nn.init.normal_):
            assert draw(weight) is weight
        assert nn.init.uniform_(tensor=weight) is weight
        assert torch.equal(weight + 1, torch.full((4, 3), 8.0))  # all else goes on as ever
    assert torch.equal(weight, torch.full((4, 3), 7.0))
    nn.init.normal_(weight)
    assert weight.unique().numel() == 12
