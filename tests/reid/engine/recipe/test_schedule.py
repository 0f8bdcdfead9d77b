"""Learning rates worked out by hand, and beside torch's own schedulers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from reid.config import build_config
from reid.engine.recipe import Recipe
from reid.engine.recipe.scaling import at_epochs
from reid.engine.recipe.schedule import ScheduleConfig, rate_factor
from reid.errors import UserError


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(0, 0.01), (2.5, 0.2575), (5, 0.505), (10, 1.0), (39.9, 1.0), (40, 0.1), (70, 0.01), (99, 0.01)],
)
def test_multistep_with_warmup(epoch, factor):
    """0.01 + 0.99 t / 10 up to epoch 10, then a tenth at 40 and again at 70 (the bag of tricks' schedule)."""
    schedule = ScheduleConfig(name="multistep", warmup=10, warmup_start=0.01, milestones=(40, 70), gamma=0.1)
    assert rate_factor(schedule, epoch, 120, 50) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(0, 1.0), (25, 0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2), (50, 0.55), (100, 0.1), (120, 0.1)],
)
def test_cosine(epoch, factor):
    assert rate_factor(ScheduleConfig(name="cosine", final=0.1), epoch, 100, 50) == pytest.approx(factor)


@pytest.mark.parametrize(("epoch", "factor"), [(0, 1.0), (30, 1.0), (45, 0.5), (60, 0.0), (37.5, 0.8535534)])
def test_delayed_cosine(epoch, factor):
    """fast-reid's: half of 60 epochs flat, and the cosine over the other half."""
    assert rate_factor(ScheduleConfig(name="cosine", flat=0.5), epoch, 60, 50) == pytest.approx(factor, abs=1e-7)


def test_cosine_with_warmup():
    """At epoch 2 of 8 the cosine stands at (1 + cos 45 deg) / 2, the warm-up at 0.2 + 0.8 / 2."""
    schedule = ScheduleConfig(name="cosine", warmup=4, warmup_start=0.2)
    assert rate_factor(schedule, 2, 8, 50) == pytest.approx(0.6 * (1 + math.cos(math.pi / 4)) / 2)
    assert rate_factor(schedule, 4, 8, 50) == pytest.approx(0.5)


def test_constant():
    schedule = ScheduleConfig(name="constant", warmup=0.5, warmup_start=0.1)
    assert [rate_factor(schedule, epoch, 9, 50) for epoch in (0, 0.25, 0.5, 9)] == pytest.approx([0.1, 0.55, 1.0, 1.0])


PER_EPOCH, EPOCHS = 7, 12


def _torch_rates(make, steps: int) -> list[float]:
    """The rates that a scheduler of torch gives to steps 0, 1, ... where its base rate is 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("schedule", "oracle"),
    [
        (
            ScheduleConfig("multistep", milestones=(3, 4, 9), gamma=0.3),
            lambda o: lr_scheduler.MultiStepLR(o, [3 * PER_EPOCH, 4 * PER_EPOCH, 9 * PER_EPOCH], gamma=0.3),
        ),
        (
            ScheduleConfig("step", step_size=5, gamma=0.2),
            lambda o: lr_scheduler.StepLR(o, 5 * PER_EPOCH, gamma=0.2),
        ),
        (
            ScheduleConfig("cosine", final=0.05),
            lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS * PER_EPOCH, eta_min=0.05),
        ),
        (
            ScheduleConfig("constant", warmup_steps=10, warmup_start=0.2),
            lambda o: lr_scheduler.LinearLR(o, start_factor=0.2, total_iters=10),
        ),
        (
            ScheduleConfig("constant", warmup=3, warmup_start=0.2),
            lambda o: lr_scheduler.LinearLR(o, start_factor=0.2, total_iters=3 * PER_EPOCH),
        ),
        (
            ScheduleConfig("cosine", flat=0.25),
            lambda o: lr_scheduler.SequentialLR(
                o,
                [
                    lr_scheduler.ConstantLR(o, 1.0),
                    lr_scheduler.CosineAnnealingLR(o, EPOCHS * PER_EPOCH * 3 // 4),
                ],
                [EPOCHS * PER_EPOCH // 4],
            ),
        ),
    ],
    ids=["multistep", "step", "cosine", "warmup_steps", "warmup", "delayed cosine"],
)
def test_every_step_beside_torch(schedule, oracle):
    own = [rate_factor(schedule, step / PER_EPOCH, EPOCHS, PER_EPOCH) for step in range(EPOCHS * PER_EPOCH)]
    assert own == pytest.approx(_torch_rates(oracle, EPOCHS * PER_EPOCH), abs=1e-9)


@given(
    st.sampled_from(["constant", "multistep", "step", "cosine"]),
    st.floats(0, 20),
    st.floats(0.001, 1),
    st.floats(0, 1),
    st.floats(0, 0.99),
    st.floats(0, 60),
)
def test_factor_never_leaves_its_range(name, warmup, start, final, flat, epoch):
    schedule = ScheduleConfig(name, warmup, 0, start, milestones=(20, 40), final=final, flat=flat)
    assert 0.0 <= rate_factor(schedule, epoch, 60, 50) <= 1.0 + 1e-12


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(0, 0.01), (10, 1.0), (90, 1.0), (92.5, 0.775), (95, 0.55), (100, 0.1)],
)
def test_warmup_stable_decay(epoch, factor):
    schedule = ScheduleConfig("constant", warmup=10, cool_down=10, final=0.1)
    assert rate_factor(schedule, epoch, 100, 50) == pytest.approx(factor)


@pytest.mark.parametrize("name", ["constant", "multistep", "step", "cosine"])
def test_ended_early(name):
    """Until then the curve of the whole training; then a straight line from there to the end's rate."""
    whole = ScheduleConfig(name, warmup=5, milestones=(40,), final=0.02)
    ended = ScheduleConfig(name, warmup=5, milestones=(40,), final=0.02, planned=100, cool_down=4)
    for epoch in (0, 2.5, 39, 41, 60):
        assert rate_factor(ended, epoch, 64, 50) == rate_factor(whole, epoch, 100, 50)
    there = rate_factor(whole, 60, 100, 50)
    for done in (0.25, 0.5, 1.0):
        expected = there + (0.02 - there) * done
        assert rate_factor(ended, 60 + 4 * done, 64, 50) == pytest.approx(expected)


def test_a_cool_down_as_long_as_the_training():
    schedule = ScheduleConfig("constant", cool_down=20)
    assert rate_factor(schedule, 0, 10, 50) == 1.0 and rate_factor(schedule, 5, 10, 50) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"planned": 0}, "planned"),
        ({"cool_down": -1}, "cool_down"),
        ({"warmup": 1, "warmup_steps": 100}, r"warmup \(epochs\) and warmup_steps \(iterations\) are both given"),
        ({"name": "multistep"}, "set milestones"),
        ({"flat": 1.0}, "flat"),
        ({"step_size": 0}, "step_size"),
    ],
)
def test_refuses(data, message):
    with pytest.raises(UserError, match=message) as caught:
        build_config(ScheduleConfig, data, "test")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("epochs", "schedule"), [(10, {"cool_down": 20}), (10, {"cool_down": 10, "warmup": 1}), (1, {"cool_down": 1.5})]
)
def test_a_cool_down_that_the_training_has_no_room_for(epochs, schedule):
    """Behind a warm-up of nothing it would fall from a hundredth of the rate."""
    with pytest.raises(UserError, match=rf"schedule.cool_down .*: the training has {epochs} epochs?,.*; give fewer"):
        build_config(Recipe, {"epochs": epochs, "schedule": schedule}, "test")


def test_a_cool_down_of_the_whole_training_at_any_length():
    recipe = Recipe(epochs=60, schedule={"name": "constant", "cool_down": 60})
    assert all(at_epochs(recipe, epochs).epochs == epochs for epochs in range(1, 200))
