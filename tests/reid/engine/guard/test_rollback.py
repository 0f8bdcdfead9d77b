"""Trainings that blow up: where they go back to, and where they end."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from reid.engine.guard.rollback import ROLLBACKS
from reid.engine.recipe.divergence import GuardConfig
from reid.engine.recipe.optimizers import GroupEpochs
from reid.engine.recipe.stopping import EarlyStopping, best_epoch
from reid.engine.runs.checkpoint import load_state
from reid.engine.runs.run_folder import read_metrics
from reid.engine.trainer import STATE, Monitor, fit
from reid.errors import UserError
from tests.reid.engine.guard.blow_ups import Valley, plain, records


def test_a_rate_too_high_from_the_start(make_batches, cpu, tmp_path, capsys):
    """``1 - 2.5`` is beyond -1, ``1 - 1.25`` is not: the whole training is at half the rate."""
    recipe = plain(5, 2.5)
    batches, task = make_batches(recipe), Valley(1.0, 1.0, 0)
    fit(task, batches, recipe, tmp_path, cpu)
    assert float(task.w.detach()) == pytest.approx(4.0 * (-0.25) ** (5 * batches.per_epoch), rel=1e-5)
    (back,) = json.loads((tmp_path / ROLLBACKS).read_text())
    # One look an epoch: the third is one too many.
    assert (back["epoch"], back["to"], back["rate"]) == (3, 0, 0.5) and back["seen"].startswith("the loss has risen to")
    told = records(tmp_path)
    assert [record["epoch"] for record in told] == [1, 2, 3, 4, 5]
    assert [record["lr"] for record in told] == [1.25] * 5
    assert told[0]["rolled_back"] == [back] and not any("rolled_back" in record for record in told[1:])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "guard:" in line]
    assert "in epoch 3; back to the start, from there at 0.5 times the rate (1 of 3)" in line


def test_a_blow_up_later_goes_back_to_the_last_sound_epoch(make_batches, cpu, tmp_path, capsys):
    """The curve is steep from epoch 3 on; the third blow-up is the last that may be."""
    recipe = plain(6, 0.5)
    batches = make_batches(recipe)
    task = Valley(0.02, 96.0, 2 * batches.per_epoch)
    fit(task, batches, recipe, tmp_path, cpu)
    # Beyond -1 at 0.5, 0.25 and 0.0625 (1 - 6); not at 0.0078125 (1 - 0.75).
    wanted = 4.0 * 0.99 ** (2 * batches.per_epoch) * 0.25 ** (4 * batches.per_epoch)
    assert float(task.w.detach()) == pytest.approx(wanted, rel=1e-5)
    back = json.loads((tmp_path / ROLLBACKS).read_text())
    assert [(each["to"], each["rate"]) for each in back] == [(2, 0.5), (2, 0.125), (2, 1 / 64)]
    told = records(tmp_path)
    assert [record["lr"] for record in told] == [0.5] * 2 + [0.5 / 64] * 4
    assert told[2]["rolled_back"] == back and sum("rolled_back" in record for record in told) == 1
    assert capsys.readouterr().out.count("back to the end of epoch 2") == 3
    assert load_state(tmp_path / STATE)["epoch"] == 6
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {event.step: event.value for event in events.Scalars("optimizer/lr")} == {
        record["epoch"]: pytest.approx(record["lr"]) for record in told
    }


@pytest.mark.parametrize(
    ("rollbacks", "told"), [(0, ""), (1, " (rolled back 1 time, the last time to 0.5 times the rate)")]
)
def test_one_blow_up_too_many_ends_the_training(make_batches, cpu, tmp_path, rollbacks, told):
    recipe = plain(6, 0.5, guard=GuardConfig(rollbacks=rollbacks))
    batches = make_batches(recipe)
    with pytest.raises(UserError, match=r"risen to .* in epoch \d; lower optimizer.lr or set clip_gradient") as caught:
        fit(Valley(0.02, 24.0, 2 * batches.per_epoch), batches, recipe, tmp_path, cpu)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(f"set clip_gradient{told}")
    assert load_state(tmp_path / STATE)["epoch"] == 2  # the last sound one
    again = Valley(0.02, 24.0, 2 * batches.per_epoch)
    with pytest.raises(UserError, match="lower optimizer.lr") as second:
        fit(again, batches, recipe, tmp_path, cpu)
    assert str(second.value) == str(caught.value)


def test_a_task_may_say_where_its_loss_rises(make_batches, cpu, tmp_path):
    """The curve, and so the loss, is ten times as steep from epoch 3 on, and the rate far from too high for it."""
    recipe = plain(6, 1e-6)
    batches = make_batches(recipe)
    silent, told = (Valley(1.0, 10.0, 2 * batches.per_epoch) for _ in range(2))
    told.restless_epochs = range(3, 5)
    fit(told, batches, recipe, tmp_path, cpu)
    assert not (tmp_path / ROLLBACKS).exists()
    (tmp_path / "silent").mkdir()
    with pytest.raises(UserError, match="the loss has risen to 80"):
        fit(silent, batches, recipe, tmp_path / "silent", cpu)


def test_a_recipe_says_where_the_loss_rises(make_batches, cpu, tmp_path):
    """Where a part begins to learn: the loss of epoch 3 is ten times as high, and usual from then on."""
    recipe = plain(6, 1e-6)
    recipe = replace(recipe, optimizer=replace(recipe.optimizer, freeze_epochs=GroupEpochs(backbone=2)))
    batches = make_batches(recipe)
    fit(Valley(1.0, 10.0, 2 * batches.per_epoch), batches, recipe, tmp_path, cpu)
    assert not (tmp_path / ROLLBACKS).exists()


def test_a_training_without_a_blow_up_leaves_no_trace(make_task, make_batches, recipe, cpu, tmp_path):
    fit(make_task(recipe), make_batches(recipe), recipe, tmp_path, cpu)
    assert not (tmp_path / ROLLBACKS).exists()
    assert not any("rolled_back" in record for record in read_metrics(tmp_path))


def test_best_weights_are_of_sound_epochs_and_dropped_epochs_are_no_gain(make_batches, cpu, tmp_path):
    recipe = plain(6, 0.5, evaluate_every=1, keep_best=True, early_stopping=EarlyStopping(patience=5))
    batches, kept = make_batches(recipe), []
    task = Valley(0.02, 6.0, 2 * batches.per_epoch)  # 1 - 3; then 1 - 1.5
    rates = {0.5: (0.1, 0.2, 0.9, 0.9, 0.9, 0.9), 0.25: (0.0, 0.0, 0.3, 0.4, 0.2, 0.1)}

    def evaluate(task):
        epoch = len(read_metrics(tmp_path)) + 1
        return {"holdout_mAP": rates[0.25 if (tmp_path / ROLLBACKS).exists() else 0.5][epoch - 1]}

    monitor = Monitor(evaluate, keep=lambda task: kept.append(len(read_metrics(tmp_path))))
    fit(task, batches, recipe, tmp_path, cpu, monitor=monitor)
    assert kept == [1, 2, 4]  # the third begins with a loss that is still too high
    assert [record["holdout_mAP"] for record in read_metrics(tmp_path)] == [0.1, 0.2, 0.3, 0.4, 0.2, 0.1]


def test_best_weights_are_never_of_an_epoch_that_was_taken_back(make_batches, cpu, tmp_path):
    """Checkpoints are due at 4 and 8; epoch 6 is the best, and the blow-up that comes then goes back to it and no
    further: to 4 it would leave records by which epoch 2 is the best, and weights of another."""
    scores = (0.1, 0.5, 0.2, 0.3, 0.4, 0.6, 0.1, 0.1, 0.1, 0.1)
    recipe = plain(10, 0.5, evaluate_every=1, keep_best=True, checkpoint_every=4)
    batches, kept = make_batches(recipe), []
    task = Valley(0.02, 6.0, 6 * batches.per_epoch)

    def evaluate(task):
        return {"holdout_mAP": scores[len(read_metrics(tmp_path))]}

    monitor = Monitor(evaluate, keep=lambda task: kept.append((len(read_metrics(tmp_path)), task.w.item())))
    fit(task, batches, recipe, tmp_path, cpu, monitor=monitor)
    (back,) = json.loads((tmp_path / ROLLBACKS).read_text())
    assert back["to"] == 6 and [epoch for epoch, _ in kept] == [1, 2, 6]
    assert best_epoch(read_metrics(tmp_path), "holdout_mAP") == 6
    assert kept[-1][1] == pytest.approx(4.0 * 0.99 ** (6 * batches.per_epoch), rel=1e-5)
