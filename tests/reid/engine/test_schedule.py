"""Learning rates worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.engine.recipe import ScheduleConfig
from reid.engine.schedule import rate_factor


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(0, 0.01), (2.5, 0.2575), (5, 0.505), (10, 1.0), (39.9, 1.0), (40, 0.1), (70, 0.01), (99, 0.01)],
)
def test_multistep_with_warmup(epoch, factor):
    """0.01 + 0.99 t / 10 up to epoch 10, then a tenth at 40 and again at 70 (the bag of tricks' schedule)."""
    schedule = ScheduleConfig(name="multistep", warmup=10, warmup_start=0.01, milestones=(40, 70), gamma=0.1)
    assert rate_factor(schedule, epoch, 120) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(0, 1.0), (25, 0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2), (50, 0.55), (100, 0.1), (120, 0.1)],
)
def test_cosine(epoch, factor):
    assert rate_factor(ScheduleConfig(name="cosine", final=0.1), epoch, 100) == pytest.approx(factor)


def test_cosine_with_warmup():
    """At epoch 2 of 8 the cosine stands at (1 + cos 45 deg) / 2, the warm-up at 0.2 + 0.8 / 2."""
    schedule = ScheduleConfig(name="cosine", warmup=4, warmup_start=0.2)
    assert rate_factor(schedule, 2, 8) == pytest.approx(0.6 * (1 + math.cos(math.pi / 4)) / 2)
    assert rate_factor(schedule, 4, 8) == pytest.approx(0.5)


def test_constant():
    schedule = ScheduleConfig(name="constant", warmup=0.5, warmup_start=0.1)
    assert [rate_factor(schedule, epoch, 9) for epoch in (0, 0.25, 0.5, 9)] == pytest.approx([0.1, 0.55, 1.0, 1.0])


@given(
    st.sampled_from(["constant", "multistep", "cosine"]),
    st.floats(0, 20),
    st.floats(0.001, 1),
    st.floats(0, 1),
    st.floats(0, 60),
)
def test_factor_never_leaves_its_range(name, warmup, start, final, epoch):
    schedule = ScheduleConfig(name, warmup, start, milestones=(20, 40), final=final)
    assert 0.0 <= rate_factor(schedule, epoch, 60) <= 1.0 + 1e-12
