"""Early stopping against a plain loop that carries its state along."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.config import build_config
from reid.engine.recipe.stopping import EarlyStopping, best_epoch, should_stop
from reid.errors import UserError


def _records(values):
    """One record an epoch; None is an epoch that was not evaluated."""
    return [
        {"epoch": epoch, "loss": 1.0} | ({} if value is None else {"score": value})
        for epoch, value in enumerate(values, start=1)
    ]


values = st.lists(
    st.one_of(st.none(), st.integers(0, 20).map(lambda n: n / 20), st.just(math.nan)), min_size=0, max_size=25
)


@given(values, st.integers(1, 6), st.sampled_from([0.0, 0.04, 0.051]), st.sampled_from(["max", "min"]))
def test_beside_a_loop_with_state(values, patience, gain, mode):
    best, best_at, stopped = None, 0, False
    for epoch, value in enumerate(values, start=1):
        if value is not None:
            better = best is None or (value > best + gain if mode == "max" else value < best - gain)
            if not math.isnan(value) and better:
                best, best_at = value, epoch
            stopped = epoch - best_at >= patience
        records = _records(values[:epoch])
        assert should_stop(records, EarlyStopping(patience, "score", mode, gain)) == stopped
        assert best_epoch(records, "score", mode, gain) == (best_at or None)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_what_is_better_by_less_than_the_least_gain_is_no_gain(mode):
    sign = 1 if mode == "max" else -1
    records = _records([sign * value for value in (0.5, 0.59, 0.58, 0.7)])
    assert best_epoch(records[:3], "score", mode, 0.1) == 1  # 0.59 is best, and no gain on 0.5
    assert best_epoch(records, "score", mode, 0.1) == 4
    assert best_epoch(records, "score", mode, 0.3) == 1


@given(values)
def test_best_is_the_first_greatest(values):
    finite = [(value, -epoch) for epoch, value in enumerate(values, 1) if value is not None and not math.isnan(value)]
    expected = -max(finite)[1] if finite else None
    assert best_epoch(_records(values), "score") == expected


def test_epochs_between_evaluations_do_not_stop():
    values = [0.1, None, None, None, None, 0.2, None, None, None, None, 0.15]
    stopping = EarlyStopping(patience=5, metric="score")
    stops = [should_stop(_records(values[:n]), stopping) for n in range(len(values) + 1)]
    assert stops == [False] * 11 + [True]


def test_smaller_is_better_for_a_loss():
    records = [{"epoch": epoch, "loss": loss} for epoch, loss in enumerate([3.0, 2.0, 2.5, 2.0], start=1)]
    assert best_epoch(records, "loss", "min") == 2 and best_epoch(records, "loss") == 1
    assert should_stop(records, EarlyStopping(2, "loss", "min"))
    assert not should_stop(records, EarlyStopping(3, "loss", "min"))


def test_a_number_that_was_none_is_null_once_read_back():
    """As ``metrics.jsonl`` has it: a resumed run sees None where the unbroken one saw NaN."""
    written = [{"epoch": 1, "score": 0.5}, {"epoch": 2, "score": math.nan}, {"epoch": 3, "score": 0.4}]
    read = [record | ({"score": None} if math.isnan(record["score"]) else {}) for record in written]
    for mode in ("max", "min"):
        assert best_epoch(read, "score", mode) == best_epoch(written, "score", mode)
        for patience in (1, 2, 3):
            stopping = EarlyStopping(patience, "score", mode)
            assert should_stop(read, stopping) == should_stop(written, stopping)
    assert best_epoch(read[1:2], "score") is None and should_stop(read[1:2], EarlyStopping(2, "score"))


def test_refuses():
    with pytest.raises(UserError, match="patience"):
        build_config(EarlyStopping, {"patience": 0}, "test")


@pytest.mark.parametrize("metric", ["loss", "loss_triplet", "random_loss", "smallest_loss_ce"])
def test_a_loss_that_is_to_grow_is_refused(metric):
    """It would end the training as soon as the loss falls, and ``max`` is what is there unless told."""
    message = f"early_stopping: metric {metric} is a loss, for which lower is better; also set mode: min"
    with pytest.raises(UserError, match=message) as caught:
        build_config(EarlyStopping, {"metric": metric}, "early_stopping")
    assert "\n" not in str(caught.value)
    assert build_config(EarlyStopping, {"metric": metric, "mode": "min"}, "early_stopping").mode == "min"
