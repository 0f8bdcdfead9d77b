"""Seeds of steps: unlike each other, the same on every machine, and without a trace outside the step."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from reid.engine.seeds import seeded_step, step_seed

CPU = torch.device("cpu")


def test_seeds_are_unlike_each_other():
    places = list(itertools.product(range(4), range(8), range(50), range(3)))
    seeds = [step_seed(*place) for place in places]
    assert len(set(seeds)) == len(places) and all(0 <= seed < 2**63 for seed in seeds)
    bits = torch.tensor([[seed >> bit & 1 for bit in range(63)] for seed in seeds], dtype=torch.float64)
    # Each bit is set in half of the seeds; 6 standard deviations of 4800 fair coins.
    assert ((bits.mean(0) - 0.5).abs() < 6 * 0.5 / len(places) ** 0.5).all()


def test_seeds_are_the_same_everywhere():
    """Figures of numpy's documented SeedSequence; a change of them would change every resumed run."""
    assert step_seed(0, 1, 0) == 2918264622725855778
    assert step_seed(3, 2, 1) == 4404663168949438663
    assert step_seed(3, 2, 1, rank=1) == 6826802935108478168


def test_draws_depend_on_the_seed_alone():
    dropout, x = nn.Dropout(0.5).train(), torch.ones(64)
    with seeded_step(5, CPU):
        first = dropout(x)
    torch.rand(3)
    with seeded_step(5, CPU):
        assert torch.equal(dropout(x), first)
    with seeded_step(6, CPU):
        assert not torch.equal(dropout(x), first)


def test_no_trace_is_left_even_of_a_failure():
    before = torch.get_rng_state()
    with pytest.raises(KeyError), seeded_step(5, CPU):
        torch.rand(3)
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)


def test_as_torchs_own_fork_does():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        expected = torch.randn(7)
    with seeded_step(11, CPU):
        assert torch.equal(torch.randn(7), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda():
    device = torch.device("cuda")
    with seeded_step(5, device):
        first = torch.rand(4, device=device)
    before = torch.cuda.get_rng_state()
    with seeded_step(5, device):
        assert torch.equal(torch.rand(4, device=device), first)
    assert torch.equal(torch.cuda.get_rng_state(), before)
