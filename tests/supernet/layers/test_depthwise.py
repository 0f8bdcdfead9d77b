"""Depthwise convolution: torch's own result and gradients, also where a CPU takes another way to them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet.layers.depthwise import DepthwiseConv2d, depthwise_conv2d

GRID = [(kernel, stride) for kernel in (1, 3, 5, 7) for stride in (1, 2)]


def _gradients(function, x, weight):
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    y = function(x, weight)
    # Whole numbers have exact sums in any order and are exact in bf16.
    dy = torch.arange(y.numel()).reshape(y.shape).remainder(5).to(y.dtype) - 2
    return y.detach(), *torch.autograd.grad(y, (x, weight), dy)


@pytest.mark.parametrize(("kernel", "stride"), GRID)
@pytest.mark.parametrize("size", [(8, 4), (7, 5), (1, 2), (13, 6)])  # the last has more than FEW_PIXELS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_those_of_float64(kernel, stride, size, dtype):
    generator = torch.Generator().manual_seed(kernel + stride)
    x = torch.randint(-2, 3, (2, 6, *size), generator=generator).to(dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.randint(-1, 2, (6, 1, kernel, kernel), generator=generator).to(dtype)
    ours = _gradients(lambda x, weight: depthwise_conv2d(x, weight, stride), x, weight)

    def plainly(x, weight):
        return F.conv2d(x, weight, stride=stride, padding=kernel // 2, groups=6)

    for own, wanted in zip(ours, _gradients(plainly, x.double(), weight.double()), strict=True):
        assert own.dtype == dtype and own.shape == wanted.shape
        torch.testing.assert_close(own.double(), wanted.to(dtype).double(), rtol=0, atol=0)


@pytest.mark.parametrize(("kernel", "stride"), GRID)
def test_under_autocast_the_weights_gradient_is_float32(kernel, stride):
    layer = DepthwiseConv2d(8, kernel, stride)
    plain = nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8, bias=False)
    plain.load_state_dict(layer.state_dict())
    results = []
    for each in (layer, plain):
        x = torch.linspace(-1, 1, 3 * 8 * 9 * 5).view(3, 8, 9, 5).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            y = each(x)
        y.float().square().sum().backward()
        results.append((y.detach(), x.grad, each.weight.grad))
    assert results[0][0].dtype == torch.bfloat16 and results[0][2].dtype == torch.float32
    for own, theirs in zip(*results, strict=True):
        torch.testing.assert_close(own, theirs, rtol=0.02, atol=0.02 * float(theirs.abs().max()))


def test_only_what_is_asked_for_is_computed():
    weight = torch.ones(4, 1, 3, 3, dtype=torch.bfloat16)
    x = torch.ones(2, 4, 6, 6, dtype=torch.bfloat16)
    depthwise_conv2d(x, weight.requires_grad_(), 2).sum().backward()
    assert x.grad is None and weight.grad is not None
    fixed = weight.detach()
    depthwise_conv2d(x.requires_grad_(), fixed, 2).sum().backward()
    assert x.grad is not None and fixed.grad is None


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_trace_has_torchs_own_operator():
    """fvcore and exporters know nothing of ours, and whoever calls them need not turn gradients off."""
    traced = torch.jit.trace(DepthwiseConv2d(2, 5, 1), torch.randn(1, 2, 4, 4))
    assert "aten::_convolution" in str(traced.inlined_graph) and "_Depthwise" not in str(traced.inlined_graph)
