"""A supernet on two gloo processes against one: gradients, weights and averages."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from reid.engine.machine.distributed import SINGLE

PROGRAM = Path(__file__).with_name("supernet_program.py")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory, run_twice) -> list[dict]:
    """What each of two real processes ends with; each began with weights of its own."""
    folder = tmp_path_factory.mktemp("supernet")
    run_twice(PROGRAM, folder)
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, load_program) -> dict:
    return load_program(PROGRAM).train(SINGLE, tmp_path_factory.mktemp("alone"), seed=7)


def _close(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(
            second[name], value, rtol=1e-7, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_gradients_are_those_of_one_process(ranks, alone):
    """Every arch of every step is normalised by the whole batch, with IBN and squeeze-and-excite too."""
    assert len(alone["gradients"]) >= 3
    assert all(max(float(each.abs().max()) for each in step.values()) > 0.05 for step in alone["gradients"])
    for rank in ranks:
        for own, wanted in zip(rank["gradients"], alone["gradients"], strict=True):
            _close(wanted, own)


def test_weights_and_averages_are_those_of_one_process(ranks, alone):
    for rank in ranks:
        _close(alone["task"], rank["task"])
        _close(alone["kept"], rank["kept"])
    assert not all(torch.equal(alone["task"][name], value) for name, value in alone["kept"].items())


def test_processes_end_with_the_same_weights_bit_by_bit(ranks):
    first, second = ranks
    for what in ("task", "kept"):
        assert all(torch.equal(value, second[what][name]) for name, value in first[what].items())
