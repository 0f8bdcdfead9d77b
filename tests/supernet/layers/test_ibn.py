"""Elastic IBN against its definition and against the plain layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reid.models.backbones.ibn import IBN
from supernet.layers.elastic import ElasticBatchNorm
from supernet.layers.ibn import ElasticIBN, odd_first


def _layer(channels: int) -> ElasticIBN:
    generator = torch.Generator().manual_seed(channels)
    layer = ElasticIBN(channels).double()
    layer.weight.data.uniform_(0.5, 1.5, generator=generator)
    layer.bias.data.normal_(0, 0.2, generator=generator)
    layer.running_mean.normal_(0, 0.2, generator=generator)
    layer.running_var.uniform_(0.5, 1.5, generator=generator)
    return layer


def _maps(channels: int) -> torch.Tensor:
    return 3 * torch.randn(4, channels, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [2, 5, 8])
def test_each_channel_by_hand(channels, training):
    """A channel is normalised in one way, whatever the width: odd ones over their map, even ones over the batch."""
    layer, x = _layer(8).train(training), _maps(channels)
    y = layer(x, ibn=True)
    for c in range(channels):
        if c % 2:
            mean, var = x[:, c].mean((1, 2), keepdim=True), x[:, c].var((1, 2), correction=0, keepdim=True)
        elif training:
            mean, var = x[:, c].mean(), x[:, c].var(correction=0)
        else:
            mean, var = layer.running_mean[c], layer.running_var[c]
        wanted = (x[:, c] - mean) / (var + 1e-5).sqrt() * layer.weight[c] + layer.bias[c]
        torch.testing.assert_close(y[:, c], wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [2, 5, 8])
def test_plain_layer_has_the_odd_channels_first(channels, training):
    layer, x = _layer(8).train(training), _maps(channels)
    plain, order = IBN(channels).double().train(training), odd_first(channels)
    layer.copy_to(plain)
    torch.testing.assert_close(plain(x[:, order]), layer(x, ibn=True)[:, order], rtol=1e-10, atol=1e-10)


def test_without_ibn_it_is_batch_norm():
    layer, x, plain, bn = _layer(8).eval(), _maps(5), nn.BatchNorm2d(5).double().eval(), ElasticBatchNorm(8)
    layer.copy_to(plain)
    torch.testing.assert_close(layer(x), plain(x))
    assert layer.state_dict().keys() == bn.state_dict().keys(), "weights of spaces without IBN load as before"


def test_gradients_reach_every_channel_in_use():
    layer, x = _layer(8), _maps(5).requires_grad_()
    assert torch.autograd.gradcheck(lambda maps: layer(maps, ibn=True).square(), x)
    layer(x, ibn=True).square().sum().backward()
    assert (layer.weight.grad[:5] != 0).all() and not layer.weight.grad[5:].any()
