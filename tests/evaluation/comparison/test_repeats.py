"""Several seeds of one training as one row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.comparison.repeats import mean_row
from evaluation.comparison.row import read_result, write_result
from reid.errors import UserError
from tests.evaluation.rows import FOUND

ROW = replace(FOUND, name="net", mAP=0.5, rank1=0.7, latency_ms=2.0, run="runs/seed-0", test_set="3 queries")

shares = st.floats(0, 1)


@given(st.lists(st.tuples(shares, shares, st.none() | st.floats(0.1, 100)), min_size=2, max_size=6))
def test_mean_and_spread_as_numpy_has_them(scores):
    rows = [
        replace(ROW, mAP=mAP, rank1=rank1, latency_ms=ms, seed=10 + seed, run=f"runs/seed-{seed}")
        for seed, (mAP, rank1, ms) in enumerate(scores)
    ]
    row = mean_row(rows)
    mAPs, rank1s, times = (
        np.array([value for value in column if value is not None]) for column in zip(*scores, strict=True)
    )
    assert (row.mAP, row.rank1) == (pytest.approx(mAPs.mean()), pytest.approx(rank1s.mean()))
    assert row.mAP_spread == pytest.approx(mAPs.std(ddof=1)) and row.rank1_spread == pytest.approx(rank1s.std(ddof=1))
    assert row.latency_ms == (pytest.approx(np.median(times)) if len(times) else None)
    assert row.seeds == tuple(range(10, 10 + len(scores)))
    kept = ("name", "kind", "flops", "parameters", "input_size", "train_set", "test_set", "epochs")
    assert all(getattr(row, key) == getattr(ROW, key) for key in kept)


def test_trainings_that_stop_by_themselves():
    rows = [replace(ROW, seed=seed, epochs=epochs) for seed, epochs in enumerate((5, 12, 8))]
    row = mean_row(rows)
    assert row.epochs == 12 and row.notes == ("epochs of the seeds: 5, 12, 8",)


def test_notes_of_any_seed_are_told():
    """The first seed's alone would hide that another was taken back to a lower rate, or say its own of all."""
    notes = (("of all", "of two"), ("of all",), ("of all", "of two", "of the last"))
    row = mean_row([replace(ROW, seed=4 + number, notes=each) for number, each in enumerate(notes)])
    assert row.notes == ("of all", "seed 4, 6: of two", "seed 6: of the last")


def test_round_trip(tmp_path):
    row = mean_row([ROW, replace(ROW, seed=4, mAP=0.6)])
    write_result(tmp_path, row)
    assert read_result(tmp_path) == row and row.seeds == (0, 4)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROW], "at least two"),
        ([ROW, replace(ROW, seed=1), ROW], "seeds 0, 1, 0: each seed may occur only once"),
        ([ROW, replace(ROW, seed=1, run="b", name="other")], "b and runs/seed-0 are not repeats .*: name differs"),
        ([ROW, replace(ROW, seed=1, run="b", parameters=51)], "parameters differs"),
        ([ROW, replace(ROW, seed=1, run="b", input_size=(32, 32))], "input_size differs"),
        ([ROW, replace(ROW, seed=1, run="b", train_set="more")], "train_set differs"),
        ([ROW, replace(ROW, seed=1, run="b", test_set="more")], "test_set differs"),
    ],
)
def test_what_is_no_repeat(rows, message):
    with pytest.raises(UserError, match=message) as caught:
        mean_row(rows)
    assert "\n" not in str(caught.value)
