"""Devices, precision and seeds."""

from __future__ import annotations

import contextlib

import pytest
import torch

from reid.engine.machine.device import autocast, describe_device, pick_device, seeded
from reid.errors import UserError


def test_auto_and_cpu():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert "threads" in describe_device(torch.device("cpu"))


@pytest.mark.parametrize("name", ["nonsense", "", "cuda:99", "cuda:x", "cpu:cpu", "meta", "mps:7", "xpu", "hpu"])
def test_devices_that_are_not_there(name):
    with pytest.raises(UserError, match="there is no such device on this machine; use auto or cpu") as caught:
        pick_device(name)
    assert f"--device {name}:" in str(caught.value) and "\n" not in str(caught.value)


def test_autocast_runs_in_the_asked_precision():
    x = torch.randn(4, 4)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        with autocast(torch.device("cpu"), precision):
            assert (x @ x).dtype == dtype
    assert isinstance(autocast(torch.device("cpu"), "fp32"), contextlib.nullcontext)


def test_seeded_draws_and_leaves_the_global_generator():
    before = torch.get_rng_state()
    with seeded(4):
        first = torch.rand(3)
    with seeded(4):
        assert torch.equal(torch.rand(3), first)
    with seeded(5):
        assert not torch.equal(torch.rand(3), first)
    assert torch.equal(torch.get_rng_state(), before)
