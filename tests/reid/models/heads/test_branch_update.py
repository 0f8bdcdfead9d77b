"""Which losses count: by definition, and how often."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reid.models.heads import select_parts


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.lists(st.floats(0, 10, width=32), min_size=1, max_size=9))
def test_all_and_greatest(values):
    losses = torch.tensor(values, requires_grad=True)
    assert select_parts(losses, "all").tolist() == [1.0] * len(values)
    weights = select_parts(losses, "max_loss")
    first = values.index(max(values))
    assert weights.tolist() == [float(i == first) for i in range(len(values))]
    assert not weights.requires_grad
    (weights * losses).sum().backward()
    assert torch.equal(losses.grad, weights)


@given(st.integers(2, 9), st.integers(0, 2**31), st.data())
def test_random_leaves_out_as_many_as_asked(count, seed, data):
    drop = data.draw(st.integers(1, count - 1))
    weights = select_parts(torch.ones(count), "random", drop, _generator(seed))
    assert sorted(weights.tolist()) == [0.0] * drop + [1.0] * (count - drop)
    assert torch.equal(weights, select_parts(torch.rand(count), "random", drop, _generator(seed)))


def test_random_is_uniform():
    generator, steps = _generator(0), 4000
    kept = sum(select_parts(torch.ones(5), "random", 2, generator) for _ in range(steps)) / steps
    assert bool(((kept - 0.6).abs() < 4 * (0.6 * 0.4 / steps) ** 0.5).all())


@pytest.mark.parametrize(("drop", "generator"), [(1, None), (0, _generator(0)), (3, _generator(0))])
def test_random_needs_a_generator_and_a_sensible_drop(drop, generator):
    with pytest.raises(ValueError, match="random update of 3 parts"):
        select_parts(torch.ones(3), "random", drop, generator)
