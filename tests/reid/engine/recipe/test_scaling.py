"""A recipe at another length (rate, margin, fixed parts at the same share of the training) or with other batches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reid.engine.recipe import LossConfig, Recipe, ScheduleConfig
from reid.engine.recipe.averaging import AveragingConfig
from reid.engine.recipe.optimizers import GroupEpochs, OptimizerConfig, frozen_groups
from reid.engine.recipe.scaling import at_batch, at_epochs
from reid.engine.recipe.schedule import rate_factor
from reid.losses.angular import margin_at

STEPS = 10
"""A multiple of it, so that no milestone is rounded."""


@pytest.mark.parametrize(
    "schedule",
    [
        ScheduleConfig(name="multistep", warmup=20, milestones=(40, 80), gamma=0.1),
        ScheduleConfig(name="multistep", warmup_steps=200, milestones=(40, 80)),
        ScheduleConfig(name="step", step_size=20, gamma=0.5),
        ScheduleConfig(name="cosine", warmup=10, flat=0.3, final=0.01),
        ScheduleConfig(name="constant", warmup=20),
        ScheduleConfig(name="constant", cool_down=20),
        ScheduleConfig(name="cosine", planned=200, cool_down=10),
    ],
    ids=lambda schedule: schedule.name,
)
@pytest.mark.parametrize("epochs", [50, 25, 200])
def test_rate_at_the_same_share(schedule, epochs):
    recipe = Recipe(epochs=100, schedule=schedule)
    scaled = at_epochs(recipe, epochs)
    assert scaled.epochs == epochs
    for percent in range(0, 100, 4):
        own = rate_factor(scaled.schedule, percent * epochs / 100, epochs, STEPS)
        assert own == pytest.approx(rate_factor(schedule, percent, 100, STEPS), rel=1e-9), percent


def test_a_tenth_is_left_to_the_warmup():
    """10 of 350 epochs become 2.8 of 28, not 0.8: the first steps need it however long the rest is."""
    recipe = Recipe(epochs=350, schedule=ScheduleConfig(warmup=10))
    assert at_epochs(recipe, 28).schedule.warmup == pytest.approx(2.8)
    assert at_epochs(recipe, 70).schedule.warmup == pytest.approx(7.0)
    assert at_epochs(recipe, 300).schedule.warmup == pytest.approx(10.0)
    assert at_epochs(replace(recipe, schedule=ScheduleConfig(warmup=0.5)), 28).schedule.warmup == pytest.approx(0.5)


def test_margin_at_the_same_share():
    losses = LossConfig(
        classification={"kind": "am_softmax", "margin": 0.4, "margin_start": 0.1, "margin_warmup": 30.0}
    )
    scaled = at_epochs(Recipe(epochs=100, losses=losses), 10)
    for percent in range(0, 100, 5):
        wanted = margin_at(losses.classification, percent)
        assert margin_at(scaled.losses.classification, percent / 10) == pytest.approx(wanted)


def test_parts_are_fixed_for_the_same_share():
    recipe = Recipe(epochs=100, optimizer=OptimizerConfig(freeze_epochs=GroupEpochs(backbone=20, head=10)))
    scaled = at_epochs(recipe, 10)
    for epoch in range(1, 11):
        assert frozen_groups(scaled.optimizer, epoch) == frozen_groups(recipe.optimizer, 10 * epoch)
    shortest = [at_epochs(recipe, epochs).optimizer.freeze_epochs for epochs in (2, 1)]
    assert shortest == [GroupEpochs(backbone=1, head=1), GroupEpochs()]  # fixed at first, and never to the end


def test_nothing_else_changes():
    recipe = Recipe(epochs=100, identities=7, evaluate_every=5, schedule=ScheduleConfig(step_size=1, flat=0.5))
    assert at_epochs(recipe, 100) == recipe
    assert replace(at_epochs(recipe, 10), epochs=100) == recipe


def test_very_short():
    """Steps never fall on epoch 0, so that the first epoch has the full rate."""
    schedule = ScheduleConfig(name="multistep", milestones=(150, 250, 320), warmup_steps=2000)
    scaled = at_epochs(Recipe(epochs=380, schedule=schedule), 2).schedule
    assert scaled.milestones == (1, 1, 2) and scaled.warmup_steps == 11
    assert at_epochs(Recipe(epochs=380, schedule=ScheduleConfig(name="step", step_size=40)), 1).schedule.step_size == 1


@pytest.mark.parametrize(("name", "wanted"), [("sgd", 0.2), ("adam", 0.1), ("amsgrad", 0.1), ("adamw", 0.1)])
def test_rate_of_larger_batches(name, wanted):
    recipe = Recipe(optimizer=OptimizerConfig(name=name, lr=0.05))
    assert at_batch(recipe, 64, 4).optimizer.lr == pytest.approx(wanted)
    assert at_batch(at_batch(recipe, 32, 8), 16, 4).optimizer.lr == pytest.approx(0.05)
    assert at_batch(recipe, 32, 2) == replace(recipe, identities=32, instances=2)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_centers_go_as_far_in_an_epoch(name):
    """They move by 2 rate / N times an image's offset, in as many steps fewer as the batch of N is larger."""
    recipe = Recipe(optimizer=OptimizerConfig(name=name), losses=LossConfig(center={"weight": 5e-4, "rate": 0.5}))
    small, large = recipe, at_batch(recipe, 64, 4)
    assert large.losses.center.rate / (64 * 4) == pytest.approx(small.losses.center.rate / (16 * 4))
    assert large.losses.center.weight == 5e-4


def test_what_is_counted_in_steps():
    """As many images later the rate and the average have gone as far as with smaller batches."""
    recipe = Recipe(
        schedule=ScheduleConfig(warmup_steps=400), averaging=AveragingConfig(kind="ema", decay=0.999), evaluate_every=3
    )
    scaled = at_batch(recipe, 32, 8)
    assert (scaled.identities, scaled.instances, scaled.schedule.warmup_steps) == (32, 8, 100)
    assert scaled.averaging.decay**250 == pytest.approx(0.999**1000)
    rates = {"identities": 16, "instances": 4, "optimizer": recipe.optimizer, "losses": recipe.losses}
    assert replace(scaled, schedule=recipe.schedule, averaging=recipe.averaging, **rates) == recipe
