"""Elastic layers against torch's plain ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from supernet.layers.elastic import ElasticBatchNorm, ElasticConv2d, ElasticLinear


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(
    inputs=st.integers(1, 8),
    outputs=st.integers(1, 10),
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.sampled_from([1, 2]),
    depthwise=st.booleans(),
    bias=st.booleans(),
    height=st.integers(3, 9),
)
def test_convolution(inputs, outputs, kernel, stride, depthwise, bias, height):
    outputs = inputs if depthwise else outputs
    elastic = ElasticConv2d(8, 8 if depthwise else 10, 7, depthwise, bias).double()
    groups = inputs if depthwise else 1
    plain = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias).double()
    if bias:
        assert not elastic.bias.any()
        elastic.bias.data = _random(len(elastic.bias))
    elastic.copy_to(plain)
    x = _random(2, inputs, height, height + 1)
    y = elastic(x, outputs, kernel, stride)
    torch.testing.assert_close(y, plain(x), rtol=1e-12, atol=1e-12)
    assert y.shape == (2, outputs, -(-height // stride), -(-(height + 1) // stride))


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_small_kernel_is_the_large_one_with_its_border_at_zero(kernel, stride):
    elastic = ElasticConv2d(3, 4, 7).double()
    border = (7 - kernel) // 2
    weight = elastic.weight.detach().clone()
    weight[:, :, :border] = weight[:, :, 7 - border :] = 0
    weight[:, :, :, :border] = weight[:, :, :, 7 - border :] = 0
    x = _random(2, 3, 8, 6)
    torch.testing.assert_close(elastic(x, 4, kernel, stride), F.conv2d(x, weight, None, stride, 3))


@pytest.mark.parametrize("shape", [(6, 5), (4, 5, 3, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(shape, training):
    elastic = ElasticBatchNorm(8).double().train(training)
    elastic.weight.data, elastic.bias.data = _random(8), _random(8)
    elastic.running_mean, elastic.running_var = _random(8), _random(8).abs() + 0.5
    plain = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(5).double().train(training)
    elastic.copy_to(plain)
    x = _random(*shape)
    torch.testing.assert_close(elastic(x), plain(x))
    for name in ("weight", "bias", "running_mean", "running_var"):
        if not (training and name.startswith("running")):  # the plain one's have moved on
            assert torch.equal(getattr(plain, name), getattr(elastic, name)[:5])


def test_linear():
    elastic = ElasticLinear(9, 4).double()
    plain = nn.Linear(6, 4, bias=False).double()
    elastic.copy_to(plain)
    x = _random(3, 6)
    torch.testing.assert_close(elastic(x), x @ elastic.weight[:, :6].T)
    torch.testing.assert_close(plain(x), elastic(x))


@pytest.mark.parametrize("depthwise", [False, True])
def test_convolution_initialisation(depthwise):
    """He's by the outputs, as an arch's own network begins (``supernet.network.initialise``)."""
    weight = ElasticConv2d(200 if depthwise else 60, 200, 3, depthwise).weight.detach()
    assert float(weight.std()) == pytest.approx((2 / (200 * 9)) ** 0.5, rel=0.1)


def test_linear_initialisation():
    assert float(ElasticLinear(300, 400, std=0.001).weight.detach().std()) == pytest.approx(0.001, rel=0.05)
