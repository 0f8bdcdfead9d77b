"""An epoch that is interrupted is not begun anew: a training goes on from what was kept of it, and ends as unbroken."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import reid.engine.partway as partway_module
from reid.engine.guard.guard import Guard
from reid.engine.guard.rollback import ROLLBACKS
from reid.engine.partway import PARTWAY, Partway
from reid.engine.recipe import OptimizerConfig
from reid.engine.recipe.averaging import AveragingConfig
from reid.engine.runs.checkpoint import load_state, save_state
from reid.engine.runs.run_folder import read_metrics
from reid.engine.trainer import STATE, fit
from reid.engine.training_step import TrainingStep
from reid.errors import UserError
from tests.reid.engine.guard.blow_ups import Valley, plain, records


@pytest.fixture
def at_every_step(monkeypatch):
    monkeypatch.setattr(partway_module, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(partway_module, "SHARE", float("inf"))


def _interrupted(task, at):
    """``task``, whose backward raises what Ctrl-C does at call number ``at``; the numbers of its steps so far."""
    backward, numbers = task.backward, []

    def interrupted(images, labels, context):
        numbers.append(context.number)
        if len(numbers) == at:
            raise KeyboardInterrupt
        return backward(images, labels, context)

    task.backward = interrupted
    return numbers


def _same(first, second) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def _begin(task, batches, recipe, run, cpu, at):
    """Trains up to the step before number ``at`` (from 1)."""
    run.mkdir(exist_ok=True)
    _interrupted(task, at)
    with pytest.raises(KeyboardInterrupt):
        fit(task, batches, recipe, run, cpu)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"averaging": AveragingConfig("ema", decay=0.9), "checkpoint_every": 3, "precision": "bf16"},
        {"averaging": AveragingConfig("swa", start=0.3), "optimizer": OptimizerConfig("adam", lr=1e-3)},
    ],
    ids=["sgd", "ema, few checkpoints, bf16", "swa, adam"],
)
def test_killed_at_any_step_and_resumed_equals_unbroken(
    make_task, make_batches, recipe, cpu, tmp_path, at_every_step, change
):
    _check_equals_unbroken(make_task, make_batches, replace(recipe, **change), tmp_path, cpu)


def test_parts_that_are_fixed_at_first_are_so_after_a_resume(
    make_identity_task, make_batches, recipe, cpu, tmp_path, at_every_step
):
    recipe = replace(recipe, optimizer=OptimizerConfig(lr=0.05, freeze_epochs={"backbone": 2}))
    _check_equals_unbroken(make_identity_task, make_batches, recipe, tmp_path, cpu)


def _check_equals_unbroken(make_task, make_batches, recipe, tmp_path, cpu):
    batches = make_batches(recipe)
    (tmp_path / "whole").mkdir()
    reference = make_task(recipe)
    kept = fit(reference, batches, recipe, tmp_path / "whole", cpu)
    steps = recipe.epochs * batches.per_epoch
    for at in range(1, steps + 1, 3):
        run = tmp_path / str(at)
        _begin(make_task(recipe), batches, recipe, run, cpu, at)
        again = make_task(recipe)
        numbers = _interrupted(again, 0)
        same_kept = fit(again, batches, recipe, run, cpu)
        # The first step of an epoch has none before it to be kept; with few checkpoints the one before has its last.
        lost = (at - 1) % batches.per_epoch == 0 and (at - 1) // batches.per_epoch % recipe.checkpoint_every != 0
        assert numbers == list(range(at - 1 - lost, steps)), at
        assert _same(again, reference) and _same(same_kept, kept), at
        assert records(run) == records(tmp_path / "whole"), at
        assert not (run / PARTWAY).exists()


def test_killed_again_and_again(make_task, make_batches, recipe, cpu, tmp_path, at_every_step):
    """At every second step: looks and means are of parts of one epoch from several processes."""
    batches = make_batches(recipe)
    (tmp_path / "whole").mkdir()
    reference = make_task(recipe)
    fit(reference, batches, recipe, tmp_path / "whole", cpu)
    steps, done, interrupted = recipe.epochs * batches.per_epoch, [], True
    while interrupted:
        again = make_task(recipe)
        numbers = _interrupted(again, 3)
        (tmp_path / "run").mkdir(exist_ok=True)
        try:
            fit(again, batches, recipe, tmp_path / "run", cpu)
            interrupted = False
        except KeyboardInterrupt:
            numbers.pop()
        done += numbers
    assert done == list(range(steps)), "no step was trained twice"
    assert _same(again, reference) and records(tmp_path / "run") == records(tmp_path / "whole")


def test_a_training_that_blows_up_goes_back_to_the_end_of_an_epoch(make_batches, cpu, tmp_path, at_every_step):
    """And what was kept of the epoch that blew up is not gone on from."""
    recipe = plain(6, 0.5)
    batches = make_batches(recipe)

    def make() -> Valley:
        return Valley(0.02, 12.0, 2 * batches.per_epoch)

    whole = tmp_path / "whole"
    whole.mkdir()
    reference = make()
    numbers = _interrupted(reference, 0)
    fit(reference, batches, recipe, whole, cpu)
    assert len(json.loads((whole / ROLLBACKS).read_text())) == 2
    for at in range(2, len(numbers) + 1, 7):
        run, again = tmp_path / str(at), make()
        _begin(make(), batches, recipe, run, cpu, at)
        fit(again, batches, recipe, run, cpu)
        assert _same(again, reference) and records(run) == records(whole), at
        assert (run / ROLLBACKS).read_bytes() == (whole / ROLLBACKS).read_bytes()


@pytest.fixture
def kept_within(make_identity_task, make_batches, recipe, cpu, tmp_path, at_every_step):
    """A run that was killed at the third step of its third epoch; what it trains when it goes on."""
    batches = make_batches(recipe)
    _begin(make_identity_task(recipe), batches, recipe, tmp_path, cpu, 2 * batches.per_epoch + 3)

    def go_on(batches=batches) -> list[int]:
        task = make_identity_task(recipe)
        numbers = _interrupted(task, 0)
        fit(task, batches, recipe, tmp_path, cpu)
        return numbers

    return go_on


def test_what_was_kept_before_the_checkpoint_was_removed_is_of_no_use(kept_within, tmp_path):
    (tmp_path / STATE).unlink()
    assert kept_within()[0] == 0


def test_what_was_kept_before_a_rollback_is_of_no_use(kept_within, tmp_path, make_batches, recipe):
    """The process was killed between the rollback and the removal of what was kept."""
    back = {"epoch": 3, "to": 2, "seen": "the loss is not finite", "rate": 0.5}
    (tmp_path / ROLLBACKS).write_text(json.dumps([back]))
    assert kept_within()[0] == 2 * make_batches(recipe).per_epoch
    assert read_metrics(tmp_path)[2]["rolled_back"] == [back]


@pytest.mark.parametrize("change", [{"after": 1}, {"rollbacks": 1}, {"per_epoch": 99}, {"after": None}])
def test_what_was_kept_of_another_training_is_of_no_use(kept_within, tmp_path, make_batches, recipe, change):
    save_state(tmp_path / PARTWAY, load_state(tmp_path / PARTWAY) | change)
    assert kept_within()[0] == 2 * make_batches(recipe).per_epoch


def test_a_file_that_is_cut_short_is_refused(kept_within, tmp_path):
    file = tmp_path / PARTWAY
    file.write_bytes(file.read_bytes()[:1000])
    cure = "partway.pt is not a readable checkpoint; remove it: what was done since the last checkpoint is then trained"
    with pytest.raises(UserError, match=cure) as caught:
        kept_within()
    assert "\n" not in str(caught.value)
    file.unlink()
    assert kept_within()


def test_a_file_of_another_network_is_refused(kept_within, tmp_path):
    save_state(tmp_path / PARTWAY, load_state(tmp_path / PARTWAY) | {"task": {}})
    with pytest.raises(UserError, match="partway.pt belongs to another network or other data .*; give another --out"):
        kept_within()


def test_the_bar_goes_on_where_the_epoch_was(kept_within, make_batches, recipe, capsys):
    per_epoch = make_batches(recipe).per_epoch
    kept_within()
    assert f"{2 * per_epoch + 2}/{4 * per_epoch}" in capsys.readouterr().err.split("\r")[1]


def test_what_is_left_by_a_finished_training_is_removed(kept_within, tmp_path):
    left = (tmp_path / PARTWAY).read_bytes()
    kept_within()
    (tmp_path / PARTWAY).write_bytes(left)  # as if killed between its last checkpoint and the removal
    assert kept_within() == [] and not (tmp_path / PARTWAY).exists()


def test_a_short_epoch_is_not_kept_in_part(make_identity_task, make_batches, recipe, cpu, tmp_path):
    _begin(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu, 3)
    assert not (tmp_path / PARTWAY).exists()


@pytest.mark.parametrize(("took", "wait"), [(0.1, 60.0), (0.6, 60.0), (2.0, 200.0)])
def test_writes_take_a_hundredth_of_the_time_at_most(
    make_identity_task, recipe, cpu, tmp_path, monkeypatch, took, wait
):
    now = [1000.0]
    monkeypatch.setattr(partway_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(partway_module, "save_state", lambda *_: now.__setitem__(0, now[0] + took))
    partway = Partway(Guard(tmp_path, TrainingStep(make_identity_task(recipe), recipe, cpu, 5)))
    assert not partway.is_due
    now[0] += 60.0
    assert partway.is_due
    partway.keep(1, {})
    written = now[0]
    now[0] = written + wait - 0.01
    assert not partway.is_due
    now[0] = written + wait + 0.01
    assert partway.is_due
    partway.drop()
    assert not partway.is_due


def test_the_rate_of_images_counts_all_of_the_epochs_time(kept_within, tmp_path):
    state = load_state(tmp_path / PARTWAY)
    save_state(tmp_path / PARTWAY, state | {"within": state["within"] | {"seconds": 1e6}})
    kept_within()
    speeds = [record["images_per_second"] for record in read_metrics(tmp_path)]
    assert speeds[2] < 1e-2 < 1 < min(speeds[0], speeds[3])
