"""Squeeze-and-excite against torchvision's, and its elastic twin against the plain one."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn
from torchvision.models._utils import _make_divisible
from torchvision.ops import SqueezeExcitation

from supernet.layers.squeeze_excite import ElasticSqueezeExcite, SqueezeExcite, squeeze_width


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def test_squeeze_width_is_torchvisions_and_never_falls():
    widths = [squeeze_width(channels) for channels in range(1, 2000)]
    assert widths == [_make_divisible(channels // 4, 8) for channels in range(1, 2000)]
    assert all(small <= large for small, large in pairwise(widths))


@pytest.mark.parametrize("channels", [5, 16, 72])
def test_plain_equals_torchvision(channels):
    ours = SqueezeExcite(channels).double()
    theirs = SqueezeExcitation(channels, squeeze_width(channels), scale_activation=nn.Hardsigmoid).double()
    theirs.load_state_dict(ours.state_dict())
    x = _random(2, channels, 5, 3)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 7, 40, 41, 96])
def test_elastic_equals_plain(channels):
    elastic, plain = ElasticSqueezeExcite(96).double(), SqueezeExcite(channels).double()
    for parameter in elastic.parameters():
        parameter.data = _random(*parameter.shape)
    elastic.copy_to(plain)
    x = _random(3, channels, 4, 3)
    torch.testing.assert_close(elastic(x), plain(x), rtol=1e-12, atol=1e-12)
    assert not torch.equal(elastic(x), x)


def test_gates_start_near_one_half():
    """Biases at 0, so that no channel starts shut."""
    elastic = ElasticSqueezeExcite(64)
    assert not elastic.fc1.bias.any() and not elastic.fc2.bias.any()
    gates = elastic(torch.ones(1, 64, 2, 2))[0, :, 0, 0]
    assert 0.3 < float(gates.mean().detach()) < 0.7
