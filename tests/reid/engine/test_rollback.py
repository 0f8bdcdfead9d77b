"""Trainings that blow up: they go back, end where they should, and a kill at any moment changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

import reid.engine.guard as guard_module
import reid.engine.trainer as trainer_module
from reid.engine.averaging import AveragingConfig
from reid.engine.checkpoint import load_state
from reid.engine.divergence import GuardConfig
from reid.engine.recipe import OptimizerConfig, Recipe, ScheduleConfig
from reid.engine.rollback import ROLLBACKS
from reid.engine.run_folder import read_metrics
from reid.engine.stopping import EarlyStopping
from reid.engine.trainer import STATE, Monitor, fit
from reid.errors import UserError


class Valley(nn.Module):
    """The loss ``curve / 2 * w ** 2``, whose curve is another from step ``turn`` on: SGD multiplies ``w`` by ``1 - rate
    * curve``, so it blows up where that is beyond -1."""

    def __init__(self, before: float, after: float, turn: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([[4.0]]))
        self.before, self.after, self.turn = before, after, turn

    def curve(self, number: int) -> float:
        return self.before if number < self.turn else self.after

    def backward(self, images, labels, context):
        loss = 0.5 * self.curve(context.number) * self.w.square().sum()
        context.backward(loss)
        return {"loss": loss.detach()}


def plain(epochs: int, lr: float, **change) -> Recipe:
    return Recipe(
        epochs=epochs,
        identities=3,
        instances=2,
        optimizer=OptimizerConfig(lr=lr, momentum=0.0, weight_decay=0.0),
        schedule=ScheduleConfig(name="constant"),
        **change,
    )


class Interrupt:
    """Calls ``do``; raises what Ctrl-C does at call number ``at``, after the call where ``late``."""

    def __init__(self, do, at: int, late: bool = False) -> None:
        self.do, self.at, self.late, self.calls = do, at, late, 0

    def __call__(self, *arguments):
        self.calls += 1
        if self.calls == self.at and not self.late:
            raise KeyboardInterrupt
        result = self.do(*arguments)
        if self.calls == self.at:
            raise KeyboardInterrupt
        return result


def records(run) -> list[dict]:
    return [
        {key: value for key, value in record.items() if key not in ("images_per_second", "peak_memory_mib")}
        for record in read_metrics(run)
    ]


def same(first: nn.Module, second: nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# Where it goes back to, and where it ends.


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


@pytest.mark.parametrize("rollbacks", [0, 1])
def test_one_blow_up_too_many_ends_the_training(make_batches, cpu, tmp_path, rollbacks):
    recipe = plain(6, 0.5, guard=GuardConfig(rollbacks=rollbacks))
    batches = make_batches(recipe)
    with pytest.raises(UserError, match=r"risen to .* in epoch \d; lower optimizer.lr or set clip_gradient") as caught:
        fit(Valley(0.02, 24.0, 2 * batches.per_epoch), batches, recipe, tmp_path, cpu)
    assert "\n" not in str(caught.value) and (f"taken back {rollbacks} times" in str(caught.value)) == bool(rollbacks)
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


def test_a_training_without_a_blow_up_leaves_no_trace(make_task, make_batches, recipe, cpu, tmp_path):
    fit(make_task(recipe), make_batches(recipe), recipe, tmp_path, cpu)
    assert not (tmp_path / ROLLBACKS).exists()
    assert not any("rolled_back" in record for record in read_metrics(tmp_path))


def test_weights_that_are_no_numbers_replace_no_checkpoint(make_batches, cpu, tmp_path):
    """The loss says nothing of them."""
    recipe = plain(3, 0.1)
    batches, task = make_batches(recipe), Valley(1.0, 1.0, 0)
    task.register_buffer("seen", torch.zeros(1))
    backward = task.backward

    def spoil(images, labels, context):
        if context.number == 2 * batches.per_epoch - 1 and not (tmp_path / ROLLBACKS).exists():
            task.seen.fill_(float("nan"))
        return backward(images, labels, context)

    task.backward = spoil
    saved, save = [], trainer_module.save_state
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            trainer_module, "save_state", lambda path, state: saved.append(state["epoch"]) or save(path, state)
        )
        fit(task, batches, recipe, tmp_path, cpu)
    (back,) = json.loads((tmp_path / ROLLBACKS).read_text())
    assert (back["epoch"], back["to"], back["seen"]) == (2, 1, "the weights are not finite")
    assert saved == [1, 2, 3] and float(task.seen) == 0.0


class Steep(Valley):
    """The gradient is no number in the steps ``broken``, whatever the scaler's scale; the loss is one."""

    def __init__(self, broken: range) -> None:
        super().__init__(1.0, 1.0, 0)
        self.broken = broken

    def backward(self, images, labels, context):
        steep = (0.0 * self.w).sum().sqrt() if context.number in self.broken else 0.0
        loss = 0.5 * self.w.square().sum() + steep
        context.backward(loss)
        return {"loss": loss.detach()}


def test_gradients_that_are_none_at_any_scale_are_found_under_fp16(make_batches, cpu, tmp_path):
    """The scaler leaves such steps out, so that nothing else says so: the training would end where it began."""
    recipe = plain(40, 0.1, precision="fp16", guard=GuardConfig(rollbacks=1))
    batches = make_batches(recipe)
    with pytest.raises(UserError, match="the gradient is not finite at any scale in epoch .*taken back 1 times"):
        fit(Steep(range(10**6)), batches, recipe, tmp_path, cpu)


def test_steps_that_the_scaler_leaves_out_are_routine(make_batches, cpu, tmp_path):
    recipe = plain(5, 0.1, precision="fp16")
    batches, task = make_batches(recipe), Steep(range(3, 15))
    fit(task, batches, recipe, tmp_path, cpu)
    assert not (tmp_path / ROLLBACKS).exists()
    assert float(task.w.detach()) == pytest.approx(4.0 * 0.9 ** (5 * batches.per_epoch - 12), rel=1e-5)


def test_a_loss_that_is_too_high_replaces_no_checkpoint(make_batches, cpu, tmp_path):
    """It might not come down again; where it does, all goes on as if nothing had been."""
    recipe = plain(6, 1e-3)
    batches, task = make_batches(recipe), Valley(1.0, 1.0, 0)
    high = range(2 * batches.per_epoch, 4 * batches.per_epoch)  # epochs 3 and 4
    task.curve = lambda number: 3.0 if number in high else 1.0
    saved, save = [], trainer_module.save_state
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            trainer_module, "save_state", lambda path, state: saved.append(state["epoch"]) or save(path, state)
        )
        fit(task, batches, recipe, tmp_path, cpu)
    assert saved == [1, 2, 5, 6] and not (tmp_path / ROLLBACKS).exists()
    assert [record["epoch"] for record in read_metrics(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_features_that_become_one_vector_are_taken_back_at_an_ordinary_loss(make_batches, cpu, tmp_path):
    """In the last step of epoch 2: that look still has a mean above nothing; after three that do not it goes back."""
    recipe = plain(7, 1e-3)
    batches, task = make_batches(recipe), Valley(1.0, 1.0, 0)
    backward = task.backward

    def spread(images, labels, context):
        dead = context.number >= 2 * batches.per_epoch - 1 and not (tmp_path / ROLLBACKS).exists()
        return backward(images, labels, context) | {"embedding_spread": images.new_tensor(0.0 if dead else 0.5)}

    task.backward = spread
    fit(task, batches, recipe, tmp_path, cpu)
    (back,) = json.loads((tmp_path / ROLLBACKS).read_text())
    assert (back["epoch"], back["to"]) == (5, 2) and back["seen"].startswith("the features of all images are the same")
    assert [record["embedding_spread"] for record in records(tmp_path)][2:] == [0.5] * 5


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


# Killed and resumed.


def _go_on(make, batches, recipe, run, cpu):
    task = make()
    return task, fit(task, batches, recipe, run, cpu)


def test_killed_at_any_step_and_resumed_equals_unbroken(make_batches, cpu, tmp_path):
    recipe = plain(6, 0.5)
    batches = make_batches(recipe)

    def make() -> Valley:
        return Valley(0.02, 12.0, 2 * batches.per_epoch)  # 1 - 6, 1 - 3, 1 - 0.75

    whole = tmp_path / "whole"
    whole.mkdir()
    reference = make()
    reference.backward = Interrupt(reference.backward, at=0)
    fit(reference, batches, recipe, whole, cpu)
    steps = reference.backward.calls
    assert len(json.loads((whole / ROLLBACKS).read_text())) == 2 and steps > 8 * batches.per_epoch
    for at in range(2, steps + 1, 5):
        run = tmp_path / str(at)
        run.mkdir()
        task = make()
        task.backward = Interrupt(task.backward, at)
        with pytest.raises(KeyboardInterrupt):
            fit(task, batches, recipe, run, cpu)
        again, _ = _go_on(make, batches, recipe, run, cpu)
        assert same(again, reference) and records(run) == records(whole), at
        assert (run / ROLLBACKS).read_bytes() == (whole / ROLLBACKS).read_bytes()


@pytest.mark.parametrize(
    "what, late",
    [
        ("write_rollbacks", False),
        ("write_rollbacks", True),
        ("load_state", False),
        ("journal", False),
        ("save_state", True),
    ],
)
def test_killed_around_the_rollback_equals_unbroken(make_task, make_batches, recipe, cpu, tmp_path, what, late):
    """Both tasks, with momentum and averages; the loss of epoch 3 is no number at the recipe's own rate."""
    recipe = replace(recipe, averaging=AveragingConfig("ema", decay=0.9), optimizer=OptimizerConfig("adam", lr=1e-3))
    batches = make_batches(recipe)

    def train(run):
        task = make_task(recipe)
        backward = task.backward

        def broken(images, labels, context):
            log = backward(images, labels, context)
            bad = context.number == 2 * batches.per_epoch + 1 and not (run / ROLLBACKS).exists()
            return log | {"loss": log["loss"] + float("nan")} if bad else log

        task.backward = broken
        return task, fit(task, batches, recipe, run, cpu)

    whole, run = tmp_path / "whole", tmp_path / "run"
    whole.mkdir(), run.mkdir()
    reference, kept = train(whole)
    assert [(each["epoch"], each["to"]) for each in json.loads((whole / ROLLBACKS).read_text())] == [(3, 2)]
    with pytest.MonkeyPatch.context() as patch:
        if what == "journal":
            patch.setattr(trainer_module.Journal, "go_back", Interrupt(lambda *a: None, 1, late))
        elif what == "save_state":
            patch.setattr(trainer_module, what, Interrupt(trainer_module.save_state, 3, late))
        else:
            patch.setattr(guard_module, what, Interrupt(getattr(guard_module, what), 1, late))
        with pytest.raises(KeyboardInterrupt):
            train(run)
    again, same_kept = train(run)
    assert same(again, reference) and same(same_kept, kept) and records(run) == records(whole)
    assert (run / ROLLBACKS).read_bytes() == (whole / ROLLBACKS).read_bytes()


def test_a_run_without_its_checkpoint_starts_at_the_full_rate(make_batches, cpu, tmp_path):
    recipe = plain(5, 0.5)
    batches = make_batches(recipe)

    def make() -> Valley:
        return Valley(0.02, 6.0, 2 * batches.per_epoch)

    reference, _ = _go_on(make, batches, recipe, tmp_path, cpu)
    told = records(tmp_path)
    (tmp_path / STATE).unlink()
    again, _ = _go_on(make, batches, recipe, tmp_path, cpu)
    assert same(again, reference) and records(tmp_path) == told and told[0]["lr"] == 0.5


def test_rollbacks_that_are_damaged_are_refused(make_batches, cpu, tmp_path):
    (tmp_path / ROLLBACKS).write_text('{"epoch": 1}')
    recipe = plain(1, 0.1)
    with pytest.raises(UserError, match="guard.json"):
        fit(Valley(1.0, 1.0, 0), make_batches(recipe), recipe, tmp_path, cpu)
