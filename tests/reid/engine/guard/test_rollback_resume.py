"""A training that blows up, killed at any moment and resumed, ends as an unbroken one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

import reid.engine.guard.guard as guard_module
import reid.engine.trainer as trainer_module
from reid.engine.guard.rollback import ROLLBACKS
from reid.engine.recipe import OptimizerConfig
from reid.engine.recipe.averaging import AveragingConfig
from reid.engine.trainer import STATE, fit
from reid.errors import UserError
from tests.reid.engine.guard.blow_ups import Valley, plain, records


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


def same(first: nn.Module, second: nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


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
    assert len(json.loads((tmp_path / ROLLBACKS).read_text())) == 1
    (tmp_path / STATE).unlink()
    calm = Valley(0.02, 0.02, 0)
    calm.backward = Interrupt(calm.backward, at=4 * batches.per_epoch)
    with pytest.raises(KeyboardInterrupt):
        fit(calm, batches, recipe, tmp_path, cpu)
    fit(Valley(0.02, 0.02, 0), batches, recipe, tmp_path, cpu)  # nor do they come back with the next checkpoint
    assert [record["lr"] for record in records(tmp_path)] == [0.5] * 5
    assert json.loads((tmp_path / ROLLBACKS).read_text()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"epoch": 1}', "does not contain rollbacks"),
        ("[3]", "does not contain rollbacks"),
        ("[", "not valid JSON"),
        ('[{"epoch": 1}]', "to: "),
        ('[{"epoch": 1, "to": 0, "seen": "", "rate": "x"}]', "rate: "),
    ],
)
def test_rollbacks_that_are_damaged_are_refused(make_batches, cpu, tmp_path, text, message):
    (tmp_path / ROLLBACKS).write_text(text)
    recipe = plain(1, 0.1)
    with pytest.raises(UserError, match=f"guard.json.* {message}.*; give another --out$") as caught:
        fit(Valley(1.0, 1.0, 0), make_batches(recipe), recipe, tmp_path, cpu)
    assert "\n" not in str(caught.value)
