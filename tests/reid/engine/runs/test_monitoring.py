"""What goes by the looks at a monitor set (best weights, early stopping), and what a run says of its health."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from reid.data.augment import AugmentConfig
from reid.engine.doctor import facts_of
from reid.engine.guard.guard import Guard
from reid.engine.recipe import LossConfig, OptimizerConfig
from reid.engine.recipe.averaging import AveragingConfig
from reid.engine.recipe.stopping import EarlyStopping
from reid.engine.runs.checkpoint import load_state
from reid.engine.runs.journal import DOCTOR
from reid.engine.runs.run_folder import read_metrics
from reid.engine.trainer import STATE, UNSOUND, Monitor, fit
from reid.errors import UserError
from reid.files import write_text

SCORES = (0.2, 0.5, 0.4, 0.5, 0.6, 0.1)


class _Scores:
    """A monitor that gives ``SCORES`` one by one, and keeps the weights that it is told to keep by epoch."""

    def __init__(self, scores=SCORES, metric="holdout_mAP", at: int = 0) -> None:
        self.scores, self.metric, self.at, self.looked_at, self.kept = list(scores), metric, at, [], []

    def monitor(self) -> Monitor:
        return Monitor(self.evaluate, self.metric, keep=self.keep)

    def evaluate(self, task):
        if len(self.looked_at) + 1 == self.at:
            raise KeyboardInterrupt
        self.looked_at.append(task)
        return {self.metric: self.scores[len(self.looked_at) - 1]}

    def keep(self, task):
        assert task is self.looked_at[-1]
        self.kept.append({name: value.clone() for name, value in task.state_dict().items()})


def _same(first, second) -> bool:
    return all(torch.equal(first[name], second[name]) for name in second)


def _losses(run):
    return [record["loss"] for record in read_metrics(run)]


@pytest.fixture
def recipe(recipe):
    return replace(recipe, epochs=6, evaluate_every=1, augment=AugmentConfig(pad=0, erase=0.0))


# Best weights.


def test_best_weights_are_kept_when_they_are_better_than_all_before(
    make_identity_task, make_batches, recipe, cpu, tmp_path
):
    """Of equal scores the first stays: epochs 1, 2 and 5, not 4."""
    task, scores = make_identity_task(recipe), _Scores()
    states = []
    batches = make_batches(recipe)
    recipe = replace(recipe, keep_best=True)

    def look(task):
        states.append({name: value.clone() for name, value in task.state_dict().items()})
        return scores.evaluate(task)

    fit(task, batches, recipe, tmp_path, cpu, monitor=Monitor(look, keep=scores.keep))
    assert len(scores.kept) == 3
    assert all(_same(kept, states[epoch]) for kept, epoch in zip(scores.kept, (0, 1, 4), strict=True))
    assert not _same(scores.kept[-1], task.state_dict())


def test_best_goes_by_the_monitors_own_metric(make_identity_task, make_batches, recipe, cpu, tmp_path):
    scores = _Scores(metric="largest_mAP")
    recipe = replace(recipe, keep_best=True)
    fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu, monitor=scores.monitor())
    assert len(scores.kept) == 3


def test_nothing_is_kept_unless_asked(make_identity_task, make_batches, recipe, cpu, tmp_path):
    scores = _Scores()
    recipe = replace(recipe, epochs=2)
    fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu, monitor=scores.monitor())
    assert scores.kept == [] and len(scores.looked_at) == 2


def test_best_after_an_interruption(make_identity_task, make_batches, recipe, cpu, tmp_path):
    """What was best before the interruption is still known: 0.4 and 0.5 do not become best weights again."""
    recipe, first, second = replace(recipe, keep_best=True), _Scores(at=3), _Scores(SCORES[2:])
    with pytest.raises(KeyboardInterrupt):
        fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu, monitor=first.monitor())
    fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu, monitor=second.monitor())
    assert (len(first.kept), len(second.kept)) == (2, 1)
    assert [record["holdout_mAP"] for record in read_metrics(tmp_path)] == list(SCORES)


def test_weights_that_the_guard_doubts_are_not_the_best(
    make_identity_task, make_batches, recipe, cpu, tmp_path, monkeypatch
):
    """Epoch 2 has the best score and was not kept: 3 is better than 1, and so are 4 and 5."""
    scores, recipe = _Scores((0.1, 0.9, 0.4, 0.5, 0.6, 0.2)), replace(recipe, keep_best=True)
    monkeypatch.setattr(Guard, "sound", property(lambda guard: len(scores.looked_at) != 2))
    fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu, monitor=scores.monitor())
    assert len(scores.kept) == 4
    assert [record["epoch"] for record in read_metrics(tmp_path) if record.get(UNSOUND)] == [2]


def test_averaged_weights_are_monitored_kept_and_returned(make_identity_task, make_batches, recipe, cpu, tmp_path):
    recipe = replace(recipe, keep_best=True, averaging=AveragingConfig("ema"))
    task, scores = make_identity_task(recipe), _Scores((0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    result = fit(task, make_batches(recipe), recipe, tmp_path, cpu, monitor=scores.monitor())
    assert result is not task and all(looked_at is result for looked_at in scores.looked_at)
    assert _same(scores.kept[-1], result.state_dict()) and not _same(result.state_dict(), task.state_dict())


def test_a_monitor_does_not_write_over_the_record(make_identity_task, make_batches, recipe, cpu, tmp_path):
    """And what was done before it is not lost: the first epoch, which was not looked at, is in the checkpoint."""
    recipe, monitor = replace(recipe, evaluate_every=2), Monitor(lambda task: {"loss": 0.5, "holdout_mAP": 0.5})
    with pytest.raises(UserError, match="the monitor's 'loss' is a field of the training's own record; give it"):
        fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu, monitor=monitor)
    assert [record["epoch"] for record in read_metrics(tmp_path)] == [1]
    assert load_state(tmp_path / STATE)["epoch"] == 1


# Early stopping.

STOP = EarlyStopping(patience=2)


def test_stops_after_its_patience_and_stays_ended(make_identity_task, make_batches, recipe, cpu, tmp_path):
    """0.5 in epoch 2 is the best until epoch 4: there are 2 epochs without a gain, and no fifth."""
    recipe, scores = replace(recipe, early_stopping=STOP), _Scores()
    task = make_identity_task(recipe)
    fit(task, make_batches(recipe), recipe, tmp_path, cpu, monitor=scores.monitor())
    assert [record["epoch"] for record in read_metrics(tmp_path)] == [1, 2, 3, 4]
    assert load_state(tmp_path / STATE)["epoch"] == 4

    again, idle = make_identity_task(recipe), _Scores(())
    before = {path: path.read_bytes() for path in (tmp_path / STATE, tmp_path / "metrics.jsonl")}
    fit(again, make_batches(recipe), recipe, tmp_path, cpu, monitor=idle.monitor())
    assert idle.looked_at == [] and _same(again.state_dict(), task.state_dict())
    assert all(path.read_bytes() == content for path, content in before.items())


def test_where_it_stops_there_is_a_checkpoint(make_identity_task, make_batches, recipe, cpu, tmp_path):
    """Though it was not the epoch's turn: what comes after the training may be interrupted too."""
    recipe, scores = replace(recipe, early_stopping=STOP, checkpoint_every=3), _Scores()
    fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu, monitor=scores.monitor())
    assert len(read_metrics(tmp_path)) == 4 and load_state(tmp_path / STATE)["epoch"] == 4


def test_a_loss_can_stop_it_without_a_monitor(make_identity_task, make_batches, recipe, cpu, tmp_path):
    """The loss never falls by 100 an epoch: it ends after the patience, though nothing is held out."""
    recipe = replace(recipe, early_stopping=EarlyStopping(2, "loss", "min", minimum_gain=100.0))
    fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu)
    assert len(read_metrics(tmp_path)) == 3


@pytest.mark.parametrize(
    "metric, every, last",
    [("acuracy", 0, 1), ("acuracy", 2, 2), ("holdout_mAP", 0, 1), ("holdout_map", 3, 3), ("holdout_map", 4, 4)],
)
def test_a_metric_that_is_never_measured_ends_the_training(
    make_identity_task, make_batches, recipe, cpu, tmp_path, metric, every, last
):
    """In the first epoch that would have it; where that is the last one there was nothing to stop."""
    recipe = replace(recipe, epochs=4, evaluate_every=every, early_stopping=EarlyStopping(3, metric))
    monitor = Monitor(lambda task: {"holdout_mAP": 0.5})

    def train():
        fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu, monitor=monitor)

    if last == recipe.epochs:
        train()
    else:
        with pytest.raises(UserError, match=f"early_stopping.metric '{metric}' is never measured") as caught:
            train()
        assert "\n" not in str(caught.value)
    assert len(read_metrics(tmp_path)) == last


def test_patience_counts_epochs_between_the_looks(make_identity_task, make_batches, recipe, cpu, tmp_path):
    """Looks in epochs 2, 4, 6, ...: the first without a gain, in epoch 6, is 2 epochs after the best."""
    recipe = replace(recipe, epochs=12, evaluate_every=2, early_stopping=STOP)
    scores = _Scores((0.2, 0.5, 0.4, 0.9, 0.9, 0.9))
    fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu, monitor=scores.monitor())
    assert len(read_metrics(tmp_path)) == 6


def test_interrupted_while_it_waits(make_identity_task, make_batches, recipe, cpu, tmp_path):
    """Interrupted in epoch 3 it ends in the same epoch, with the same weights, as without."""
    recipe = replace(recipe, early_stopping=STOP)
    (whole, broken) = (tmp_path / "whole", tmp_path / "broken")
    whole.mkdir(), broken.mkdir()
    task = make_identity_task(recipe)
    fit(task, make_batches(recipe), recipe, whole, cpu, monitor=_Scores().monitor())
    with pytest.raises(KeyboardInterrupt):
        fit(make_identity_task(recipe), make_batches(recipe), recipe, broken, cpu, monitor=_Scores(at=3).monitor())
    again = make_identity_task(recipe)
    fit(again, make_batches(recipe), recipe, broken, cpu, monitor=_Scores(SCORES[2:]).monitor())
    assert _same(again.state_dict(), task.state_dict()) and _losses(broken) == _losses(whole)


# The doctor.

ABSURD = OptimizerConfig(lr=5.0, momentum=0.0)
"""With clipped gradients: the loss stays a number."""


def _examined(run, recipe, make_task, batches, cpu, capsys, labels):
    facts = facts_of(recipe, labels, batches.per_epoch)
    fit(make_task(recipe), batches, recipe, run, cpu, facts=facts)
    lines = [line for line in capsys.readouterr().out.splitlines() if "doctor:" in line]
    return lines, json.loads((run / DOCTOR).read_text())


def test_a_healthy_training_is_silent(make_identity_task, make_batches, recipe, cpu, tmp_path, capsys, image_set):
    recipe = replace(recipe, epochs=25, optimizer=OptimizerConfig(name="adam", lr=0.01), evaluate_every=0)
    batches = make_batches(recipe)
    lines, told = _examined(tmp_path, recipe, make_identity_task, batches, cpu, capsys, image_set.pids)
    assert lines == [] and told == []
    assert read_metrics(tmp_path)[-1]["accuracy"] > 0.75  # of 6 identities


def test_an_absurd_rate_is_named(make_identity_task, make_batches, recipe, cpu, tmp_path, capsys, image_set):
    recipe = replace(recipe, optimizer=ABSURD, clip_gradient=1.0)
    batches = make_batches(recipe)
    lines, told = _examined(tmp_path, recipe, make_identity_task, batches, cpu, capsys, image_set.pids)
    assert any("divergence" in line and "optimizer.lr (now 5)" in line for line in lines)
    diagnosis = next(each for each in told if each["trouble"] == "divergence")
    assert diagnosis["severity"] >= 2 and diagnosis["since"] <= 2 and "optimizer.lr" in diagnosis["cure"]


def test_features_that_cannot_learn_are_named(
    make_identity_task, make_batches, recipe, cpu, tmp_path, capsys, image_set
):
    """Backbone and head are fixed: the triplet loss has nothing to move, whatever the epoch."""
    fixed = OptimizerConfig(lr=0.01, rates={"backbone": 0.0, "head": 0.0})
    triplet = LossConfig(classification={"weight": 0.01}, triplet={"margin": 2.0, "normalize": True})
    recipe = replace(recipe, epochs=8, optimizer=fixed, losses=triplet, evaluate_every=0)
    batches = make_batches(recipe)
    lines, told = _examined(tmp_path, recipe, make_identity_task, batches, cpu, capsys, image_set.pids)
    assert told and lines and {each["trouble"] for each in told} & {"stuck at the margin", "collapse"}


def test_what_was_said_before_an_interruption_is_not_said_again(
    make_identity_task, make_batches, recipe, cpu, tmp_path, capsys, image_set
):
    recipe = replace(recipe, epochs=4, optimizer=ABSURD, clip_gradient=1.0)
    batches = make_batches(recipe)
    facts = facts_of(recipe, image_set.pids, batches.per_epoch)
    (whole, broken) = (tmp_path / "whole", tmp_path / "broken")
    whole.mkdir(), broken.mkdir()
    fit(make_identity_task(recipe), batches, recipe, whole, cpu, facts=facts, monitor=_Scores().monitor())
    said = [line for line in capsys.readouterr().out.splitlines() if "doctor:" in line]
    with pytest.raises(KeyboardInterrupt):
        fit(make_identity_task(recipe), batches, recipe, broken, cpu, facts=facts, monitor=_Scores(at=3).monitor())
    assert json.loads((broken / DOCTOR).read_text()) != []  # an interrupted run says what it knows
    rest = _Scores(SCORES[2:]).monitor()
    fit(make_identity_task(recipe), batches, recipe, broken, cpu, facts=facts, monitor=rest)
    again = [line for line in capsys.readouterr().out.splitlines() if "doctor:" in line]
    assert said and again == said
    assert (broken / DOCTOR).read_bytes() == (whole / DOCTOR).read_bytes()


def test_a_training_that_was_killed_behind_its_last_checkpoint_hears_the_doctor(
    make_identity_task, make_batches, recipe, cpu, tmp_path, image_set
):
    recipe = replace(recipe, epochs=2, optimizer=ABSURD, clip_gradient=1.0)
    batches = make_batches(recipe)
    facts = facts_of(recipe, image_set.pids, batches.per_epoch)
    fit(make_identity_task(recipe), batches, recipe, tmp_path, cpu, facts=facts)
    told = (tmp_path / DOCTOR).read_bytes()
    for left in (None, "[]\n"):  # of an interruption before
        (tmp_path / DOCTOR).unlink() if left is None else write_text(tmp_path / DOCTOR, left)
        fit(make_identity_task(recipe), batches, recipe, tmp_path, cpu, facts=facts)
        assert (tmp_path / DOCTOR).read_bytes() == told != b"[]\n"
    (tmp_path / "metrics.jsonl").unlink()  # of what is lost nothing can be said anew
    fit(make_identity_task(recipe), batches, recipe, tmp_path, cpu, facts=facts)
    assert (tmp_path / DOCTOR).read_bytes() == told


def test_without_facts_there_is_no_doctor(make_identity_task, make_batches, recipe, cpu, tmp_path, capsys):
    recipe = replace(recipe, epochs=1)
    fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu)
    assert not (tmp_path / DOCTOR).exists() and "doctor" not in capsys.readouterr().out
