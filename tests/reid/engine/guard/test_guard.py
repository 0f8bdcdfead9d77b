"""The guard itself: all that it looks at, and what it remembers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from reid.engine.guard.guard import STATE, BlownUp, Guard
from reid.engine.recipe.averaging import AveragingConfig
from reid.engine.recipe.divergence import Look
from reid.engine.runs.checkpoint import save_state
from reid.engine.training_step import TrainingStep
from tests.reid.engine.guard.blow_ups import Valley, plain


@pytest.fixture
def guard(cpu, tmp_path) -> Guard:
    """Of a training with momentum and averages, after a step."""
    recipe = plain(4, 0.1, averaging=AveragingConfig("ema"))
    recipe = replace(recipe, optimizer=replace(recipe.optimizer, momentum=0.9))
    step = TrainingStep(Valley(1.0, 1.0, 0), recipe, cpu, 2)
    step(torch.zeros(6, 1), torch.zeros(6, dtype=torch.int64), 0)
    return Guard(tmp_path, step)


def _velocity(step: TrainingStep) -> torch.Tensor:
    return step.optimizer.state[step.task.w]["momentum_buffer"]


PARTS = {"weight": lambda step: step.task.w, "velocity": _velocity, "average": lambda step: step.result.w}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("part", PARTS)
def test_nothing_that_a_checkpoint_holds_may_be_no_number(guard, part, bad):
    guard.check_weights()
    PARTS[part](guard.step).detach().fill_(bad)
    with pytest.raises(BlownUp, match="the weights are not finite"):
        guard.check_weights()


def test_looks_over_few_steps_are_not_compared(guard):
    for _ in range(10):
        guard.look(Look(50.0), first_loss=1.0, epoch=1, short=True)
    assert guard.sound
    for _ in range(guard.config.patience - 1):
        guard.look(Look(50.0), first_loss=1.0, epoch=1, short=False)
    assert not guard.sound
    with pytest.raises(BlownUp, match="the loss has risen to 50"):
        guard.look(Look(50.0), first_loss=1.0, epoch=1, short=False)


def test_what_is_usual_is_part_of_a_checkpoint(guard):
    """After it a resumed training judges by the level before, and not by its own first loss."""
    guard.look(Look(1.0), first_loss=1.0, epoch=1, short=False)
    save_state(guard.run / STATE, guard.state(1))
    again = Guard(guard.run, guard.step)
    assert again.restore() == 1
    for _ in range(guard.config.patience - 1):
        again.look(Look(50.0), first_loss=50.0, epoch=2, short=False)
    with pytest.raises(BlownUp):
        again.look(Look(50.0), first_loss=50.0, epoch=2, short=False)


def test_a_checkpoint_that_there_is_no_room_for_is_of_no_other_network(guard, monkeypatch):
    save_state(guard.run / STATE, guard.state(1))

    def refused(state):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(guard.step.optimizer, "load_state_dict", refused)
    with pytest.raises(torch.OutOfMemoryError):
        Guard(guard.run, guard.step).restore()
