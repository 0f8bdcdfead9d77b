"""The guard's judgement of looks: what is a blow-up, and what is close but sound."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.engine.recipe import OptimizerConfig
from reid.engine.recipe.divergence import GuardConfig, Look, Usual, judge, restless
from reid.losses.config import ClassificationConfig

CONFIG = GuardConfig()


def judged(losses, config=CONFIG, usual=None, **more) -> list[int]:
    """The looks (from 0) that end a training which goes on regardless."""
    usual, found = usual or Usual(), []
    for number, loss in enumerate(losses):
        usual, seen = judge(usual, Look(loss), config, **more)
        if seen:
            found.append(number)
    return found


@given(st.lists(st.floats(1.0, 1.99), max_size=60), st.floats(0.01, 1e4))
def test_a_loss_below_twice_its_usual_level_is_sound(losses, scale):
    """Whatever the median of such losses, none is twice as high."""
    assert judged([scale * loss for loss in losses]) == []


@given(st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=40), st.integers(1, 5), st.integers(1, 8))
def test_the_limit_by_a_plain_loop(losses, patience, window):
    config, kept, streak, wanted = GuardConfig(patience=patience, window=window), [], 0, []
    for number, loss in enumerate(losses):
        level = median(kept[-window:]) if kept else loss
        if loss > max(level + abs(level), level + 0.5):
            streak += 1
            if streak >= patience:
                wanted.append(number)
        else:
            kept, streak = [*kept, loss], 0
    assert judged(losses, config) == wanted


def test_three_looks_in_a_row_are_needed():
    assert judged([5.0, 4.0, 11.0, 11.0, 4.0, 11.0, 11.0]) == []
    assert judged([5.0, 4.0, 11.0, 11.0, 11.0]) == [4]


def test_a_rate_ten_times_too_high_may_still_learn():
    """Means over 20 steps as measured: the untrained network first, then SGD at 0.5 with semi-hard triplets."""
    assert judged([4.86, 14.4, 7.5, 5.57, 5.19, 5.0, 4.95, 4.73]) == []


def test_a_rate_fifty_times_too_high_is_found_at_its_third_look():
    """The same at 2.5 with batch-hard triplets and clipped gradients."""
    assert judged([8.39, 19.4, 27.3, 40.5, 23.5]) == [3, 4]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_found_at_once(bad):
    assert judge(Usual(), Look(bad), CONFIG)[1] == "the loss is not finite"
    assert judge(Usual((1.0,)), Look(1.0, bad), CONFIG)[1] == "the gradient norm is not finite"
    assert judge(Usual((1.0,)), Look(1.0, bad), CONFIG, fp16=True)[1] is None
    assert judge(Usual(), Look(bad), replace(CONFIG, rise=None), fp16=True, restless=True, short=True)[1]


def test_a_look_over_few_steps_is_not_compared_and_ends_no_streak():
    usual, _ = judge(Usual((1.0,)), Look(9.0), CONFIG)
    assert usual.bad == 1
    assert judge(usual, Look(50.0), CONFIG, short=True) == (usual, None)
    assert judge(usual, Look(1.0), CONFIG, short=True) == (usual, None)


def test_weights_of_a_rising_loss_are_not_sound_until_it_has_stayed():
    usual, sound = Usual((4.0,)), []
    for loss in (4.5, 7.0, 4.0, 9.0, 4.0, 7.0, 7.0, 7.0, 7.0):
        usual, seen = judge(usual, Look(loss), CONFIG)
        assert seen is None
        sound.append(usual.sound(CONFIG.patience))
    #                4.5   7.0    4.0   9.0    4.0   7.0    7.0   7.0   7.0
    assert sound == [True, False, True, False, True, False, False, False, True]


def test_rates_after_rollbacks():
    assert [CONFIG.rate_after(count) for count in range(4)] == [1.0, 1 / 2, 1 / 8, 1 / 64]


def test_without_a_limit_only_numbers_that_are_none_are_found():
    assert judged([1.0, 1e6, 1e9, 1e12, 1e15], replace(CONFIG, rise=None)) == []


def test_forgotten_though_the_loss_is_hardly_higher():
    usual = Usual()
    for _ in range(5):
        usual, _ = judge(usual, Look(4.0, 1.0, 0.4), CONFIG)
    seen = None
    for _ in range(CONFIG.patience):
        assert seen is None
        usual, seen = judge(usual, Look(4.9, 1.0, 0.01), CONFIG)
    assert seen == "the accuracy has fallen to 1.0% (usual: 40.0%)"
    assert judge(Usual((4.0,), (0.09,), 2), Look(4.9, 1.0, 0.0), CONFIG)[1] is None  # it never knew much
    assert judge(Usual((4.0,), (0.4,), 2), Look(4.9, 1.0, 0.11), CONFIG)[1] is None


@pytest.mark.parametrize("unsettled", [False, True])
def test_features_that_are_all_the_same_are_found_whatever_the_loss(unsettled):
    """Sound looks, and those of a training that had collapsed and went on learning, as measured; then a dead one."""
    usual, found, sound = Usual(), [], []
    for spread in (0.19, 0.0024, 0.0, 2e-7, 0.0025, 0.0, 2e-7, 0.0):
        usual, seen = judge(usual, Look(5.0, 1.0, 0.08, spread), CONFIG, restless=unsettled)
        found.append(seen)
        sound.append(usual.sound(CONFIG.patience))
    assert found == [None] * 7 + ["the features of all images are the same (spread 0)"]
    assert sound == [True, True, False, False, True, False, False, False]
    assert judge(usual, Look(5.0, 1.0, 0.08, 0.0), CONFIG, short=True) == (usual, None)
    assert judge(usual, Look(5.0, 1.0, 0.08, 0.0), replace(CONFIG, rise=None))[1] is None
    assert judge(usual, Look(5.0, 1.0, 0.08), CONFIG)[1] is None  # a task that does not log it


def test_the_level_after_a_restless_time_is_that_of_its_last_look():
    usual = Usual((1.0, 1.0, 1.0))
    for loss in (5.0, 9.0, 14.0):
        usual, seen = judge(usual, Look(loss), CONFIG, restless=True)
        assert seen is None and usual.losses == (loss,)
    known = Usual((1.0,) * 20, (0.9,) * 20)
    settled, _ = judge(known, Look(5.0, 1.0, 0.2), CONFIG, restless=True)
    assert settled.accuracies == (0.2,), "what was known of something else is not missed"
    assert judged([14.0, 20.0, 13.0], usual=usual) == []
    assert judged([29.0, 29.0, 29.0], usual=usual) == [2]


def test_restless_epochs():
    plain, own = ClassificationConfig(), OptimizerConfig()

    def over(epochs, classification=plain, optimizer=own) -> list[bool]:
        return [restless(classification, optimizer, epoch) for epoch in epochs]

    margin = ClassificationConfig(kind="am_softmax", margin_warmup=2.5)
    assert over((1, 2, 3, 4), margin) == [True, True, True, False]
    assert not any(over((1, 2, 3))) and not any(over((1, 2, 3), replace(margin, margin_start=0.35)))
    staged = OptimizerConfig(freeze_epochs={"backbone": 2, "head": 1})
    assert over((1, 2, 3, 4), optimizer=staged) == [False, True, True, False]
