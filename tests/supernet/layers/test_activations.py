"""Activations: their formulas, their gradients to the last bit, and what they keep for it."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet.layers.activations import ACTIVATIONS, activate, activation_layer

TORCHS = {"relu6": F.relu6, "h-swish": F.hardswish}


def _values(dtype: torch.dtype) -> torch.Tensor:
    """Also the corners, and what is no number."""
    corners = torch.tensor([0.0, -0.0, 6.0, 3.0, -3.0, 1e-30, -1e-30, float("inf"), -float("inf"), float("nan")])
    return torch.cat([torch.linspace(-9, 9, 50), corners]).to(dtype)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_and_gradients_are_torchs(name, dtype):
    def run(function):
        x = _values(dtype).requires_grad_()
        y = function(x * 1)  # not a leaf: what is overwritten must not be one
        (gradient,) = torch.autograd.grad(y, x, torch.linspace(-1, 1, len(x)).to(dtype))
        return y.detach(), gradient

    wanted = run(TORCHS[name])
    for function in (activation_layer(name), lambda x: activate(x, name)):
        for own, theirs in zip(run(function), wanted, strict=True):
            torch.testing.assert_close(own, theirs, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_without_a_gradient_nothing_is_allocated(name):
    x = torch.linspace(-9, 9, 50)
    wanted = TORCHS[name](x)
    with torch.no_grad():
        y = activation_layer(name)(x)
    assert y.data_ptr() == x.data_ptr()
    torch.testing.assert_close(y, wanted)


def test_relu6_keeps_its_result_alone():
    kept, x = [], torch.randn(20, requires_grad=True) * 3
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.data_ptr()), lambda nothing: x):
        y = activation_layer("relu6")(x)
    assert kept == [y.data_ptr()]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_trace_has_torchs_own_operator(name):
    """An exporter knows nothing of ours."""
    traced = torch.jit.trace(nn.Sequential(nn.Linear(4, 4), activation_layer(name)), torch.randn(1, 4))
    assert {"relu6": "aten::hardtanh", "h-swish": "aten::hardswish"}[name] in str(traced.inlined_graph)
