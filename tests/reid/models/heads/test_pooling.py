"""Pools against loops, timm and each other."""

from __future__ import annotations

import pytest
import torch
from timm.layers import adaptive_avgmax_pool2d

from reid.config import build_config
from reid.errors import UserError
from reid.models.heads import HeadConfig
from reid.models.heads.pooling import GeM, build_pool


def _gem_by_loop(channel: torch.Tensor, p: float) -> float:
    values = [max(value, 1e-6) ** p for row in channel.tolist() for value in row]
    return (sum(values) / len(values)) ** (1 / p)


def test_average_maximum_and_their_mean(maps):
    average, peak = maps.mean((2, 3)), maps.flatten(2).max(2).values
    torch.testing.assert_close(build_pool(HeadConfig())(maps), average)
    torch.testing.assert_close(build_pool(HeadConfig(pool="max"))(maps), peak)
    both = build_pool(HeadConfig(pool="avg_max"))(maps)
    torch.testing.assert_close(both, (average + peak) / 2)
    torch.testing.assert_close(both, adaptive_avgmax_pool2d(maps, 1).flatten(1))


@pytest.mark.parametrize("p", [0.5, 3.0, 6.5])
def test_gem_is_its_formula(maps, p):
    maps = maps.double()
    wanted = [[_gem_by_loop(channel, p) for channel in image] for image in maps]
    torch.testing.assert_close(GeM(p).double()(maps), torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=0)


def test_gem_by_hand():
    """(1^3 + 2^3 + 3^3 + 6^3) / 4 = 63."""
    pooled = GeM(3.0)(torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]]))
    torch.testing.assert_close(pooled, torch.tensor([[63 ** (1 / 3)]]))


def test_gem_goes_from_average_to_maximum(maps):
    positive = maps.abs() + 0.1
    torch.testing.assert_close(GeM(1.0)(positive), positive.mean((2, 3)))
    torch.testing.assert_close(GeM(1000.0)(positive), positive.amax((2, 3)), rtol=5e-3, atol=0)
    assert bool((GeM(3.0)(positive) > GeM(2.0)(positive)).all())


def test_gem_gradients_are_the_formulas(maps):
    maps = (maps.double().abs() + 0.1)[:2, :2].requires_grad_()
    assert torch.autograd.gradcheck(GeM(3.0).double(), (maps,))
    p, positive = torch.tensor([3.0], dtype=torch.float64), maps.detach()
    gem = GeM(3.0).double()
    gem(positive).sum().backward()
    step = 1e-6
    difference = [((positive ** (p + s)).mean((2, 3)) ** (1 / (p + s))).sum() for s in (step, -step)]
    torch.testing.assert_close(gem.p.grad, ((difference[0] - difference[1]) / (2 * step)).reshape(1))


@pytest.mark.parametrize("p", [3.0, 8.0, 64.0])
@pytest.mark.parametrize("value", [0.0, 1e-5, 6e4])
def test_gem_neither_overflows_nor_vanishes(p, value):
    """1e-6 ** 8 and 6e4 ** 64 are beyond float32; a channel that is 0 everywhere is common behind a ReLU."""
    maps = torch.full((1, 1, 4, 2), value, requires_grad=True)
    gem = GeM(p)
    pooled = gem(maps)
    pooled.sum().backward()
    assert pooled.item() == pytest.approx(max(value, 1e-6), rel=1e-5)
    assert bool(maps.grad.isfinite().all()) and bool(gem.p.grad.isfinite().all())


def test_gem_is_float32_for_half_precision(maps):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pooled = GeM(3.0)(maps.bfloat16())
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled, GeM(3.0)(maps.bfloat16().float()))


def test_gem_exponent_can_be_fixed():
    assert GeM(3.0).p.requires_grad and not GeM(3.0, trainable=False).p.requires_grad
    assert build_pool(HeadConfig(pool="gem", gem_p=2.5, gem_trainable=False)).p.item() == 2.5


@pytest.mark.parametrize("value", [float("inf"), 0.0, -1.0, float("nan")])
def test_an_exponent_that_is_none_is_refused(value):
    with pytest.raises(UserError, match="^head: gem_p: ") as told:
        build_config(HeadConfig, {"gem_p": value}, "head")
    assert "\n" not in str(told.value)
