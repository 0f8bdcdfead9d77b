"""A run that is interrupted anywhere and resumed ends as an unbroken one, bit by bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import reid.engine.trainer as trainer
from reid.engine.runs.checkpoint import load_state, save_state
from reid.engine.runs.run_folder import read_metrics
from reid.engine.trainer import STATE, Monitor, fit
from reid.errors import UserError


class _Interrupt:
    """Calls ``do`` and counts; at call number ``at`` it raises what Ctrl-C does."""

    def __init__(self, do, at: int) -> None:
        self.do, self.at, self.calls = do, at, 0

    def __call__(self, *arguments):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return self.do(*arguments)


def _metrics(run):
    return [
        {k: v for k, v in record.items() if k not in ("images_per_second", "peak_memory_mib")}
        for record in read_metrics(run)
    ]


def _same_weights(first, second) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def _monitor():
    """A look at the network that uses no random numbers."""
    return Monitor(lambda task: {"holdout_mAP": 0.5})


@pytest.fixture
def unbroken(make_task, make_batches, recipe, cpu, tmp_path):
    def run(recipe=recipe):
        task = make_task(recipe)
        (tmp_path / "unbroken").mkdir()
        fit(task, make_batches(recipe), recipe, tmp_path / "unbroken", cpu, monitor=_monitor())
        return task, _metrics(tmp_path / "unbroken")

    return run


@pytest.mark.parametrize(
    "change",
    [{}, {"optimizer": {"name": "adam", "lr": 1e-3}, "clip_gradient": 1.0, "precision": "bf16"}],
    ids=["sgd", "adam, bf16"],
)
@pytest.mark.parametrize("where", ["backward", "first epoch", "monitor"])
def test_resumed_equals_unbroken(make_task, make_batches, recipe, cpu, tmp_path, unbroken, where, change):
    recipe = replace(recipe, evaluate_every=1, **change)
    reference, records = unbroken(recipe)
    batches, run = make_batches(recipe), tmp_path / "run"
    assert batches.per_epoch >= 3
    run.mkdir()

    task, monitor = make_task(recipe), _monitor()
    if where == "monitor":
        monitor = Monitor(_Interrupt(monitor.evaluate, at=2))
    else:
        task.backward = _Interrupt(task.backward, at=2 if where == "first epoch" else batches.per_epoch + 2)
    with pytest.raises(KeyboardInterrupt):
        fit(task, batches, recipe, run, cpu, monitor=monitor)
    done = 0 if where == "first epoch" else 1
    assert (run / STATE).exists() == bool(done) and len(read_metrics(run)) == done
    assert not _same_weights(task, reference)

    resumed = make_task(recipe)
    fit(resumed, make_batches(recipe), recipe, run, cpu, monitor=_monitor())
    assert _same_weights(resumed, reference)
    assert _metrics(run) == records
    assert [record["epoch"] for record in records] == [1, 2, 3, 4]


def test_interrupted_before_its_checkpoint(make_task, make_batches, recipe, cpu, tmp_path, unbroken, monkeypatch):
    """The metrics of epoch 2 are written, its checkpoint is not: the epoch is run, and written, again."""
    reference, records = unbroken()
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "save_state", _Interrupt(trainer.save_state, at=2))
        with pytest.raises(KeyboardInterrupt):
            fit(make_task(recipe), make_batches(recipe), recipe, tmp_path, cpu)
    assert len(read_metrics(tmp_path)) == 2
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "loss"')  # and a line that was cut short
    resumed = make_task(recipe)
    fit(resumed, make_batches(recipe), recipe, tmp_path, cpu)
    assert _same_weights(resumed, reference) and _metrics(tmp_path) == records


@pytest.mark.parametrize(("every", "kept"), [(2, 2), (3, 3), (9, 0)])
def test_checkpoints_of_some_epochs_only(make_task, make_batches, recipe, cpu, tmp_path, unbroken, every, kept):
    """Interrupted in epoch 4: what came since the last checkpoint is run again; one is there at the end."""
    recipe = replace(recipe, checkpoint_every=every)
    reference, records = unbroken(recipe)
    assert (tmp_path / "unbroken" / STATE).exists()
    batches, run, task = make_batches(recipe), tmp_path / "run", make_task(recipe)
    run.mkdir()
    task.backward = _Interrupt(task.backward, at=3 * batches.per_epoch + 2)
    with pytest.raises(KeyboardInterrupt):
        fit(task, batches, recipe, run, cpu)
    assert len(read_metrics(run)) == 3
    assert (load_state(run / STATE)["epoch"] if (run / STATE).exists() else 0) == kept
    resumed = make_task(recipe)
    fit(resumed, make_batches(recipe), recipe, run, cpu)
    assert _same_weights(resumed, reference) and _metrics(run) == records


def test_finished_run_is_left_as_it_is(make_task, make_batches, recipe, cpu, tmp_path, unbroken):
    reference, records = unbroken()
    again = make_task(recipe)
    state = (tmp_path / "unbroken" / STATE).read_bytes()
    again.backward = _Interrupt(again.backward, at=1)  # no step is run
    fit(again, make_batches(recipe), recipe, tmp_path / "unbroken", cpu)
    assert _same_weights(again, reference) and _metrics(tmp_path / "unbroken") == records
    assert (tmp_path / "unbroken" / STATE).read_bytes() == state


def test_checkpoint_that_is_cut_short(make_identity_task, make_batches, recipe, cpu, tmp_path):
    recipe = replace(recipe, epochs=1)
    fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu)
    state = tmp_path / STATE
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(UserError, match="checkpoint.pt") as caught:
        fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu)
    assert "\n" not in str(caught.value)


def test_checkpoint_of_other_data(make_identity_task, make_batches, recipe, cpu, tmp_path):
    """The same configuration on a data set of other identities has another classifier."""
    recipe = replace(recipe, epochs=1)
    fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu)
    other = make_identity_task(recipe)
    other.classifiers = torch.nn.ModuleList([torch.nn.Linear(other.network.feature_dim, 3, bias=False)])
    with pytest.raises(UserError, match="checkpoint.pt.*classifiers.0.weight") as caught:
        fit(other, make_batches(recipe), recipe, tmp_path, cpu)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change", [{"usual": {"x": 1}}, {"usual": 3}, {"epoch": "x"}, {"epoch": None}, {"task": 3}, {"optimizer": [1]}]
)
def test_checkpoint_of_another_version(make_identity_task, make_batches, recipe, cpu, tmp_path, change):
    recipe = replace(recipe, epochs=1)
    fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu)
    save_state(tmp_path / STATE, load_state(tmp_path / STATE) | change)
    with pytest.raises(UserError, match="checkpoint.pt belongs to another .*; give another --out") as caught:
        fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("left", "lost"), [(0, 2), (1, 1), (2, 0)])
def test_lost_records_are_told(make_identity_task, make_batches, recipe, cpu, tmp_path, capsys, left, lost):
    """The checkpoint is younger than what is left of the records, as where a machine's power went."""
    two, three = replace(recipe, epochs=2), replace(recipe, epochs=3)
    fit(make_identity_task(two), make_batches(two), two, tmp_path, cpu)
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:left]))
    capsys.readouterr()
    fit(make_identity_task(three), make_batches(three), three, tmp_path, cpu)
    assert (f"metrics.jsonl has lost {lost} of 2 epochs" in capsys.readouterr().out) == bool(lost)


def test_events_of_an_interrupted_run_are_kept(make_identity_task, make_batches, recipe, cpu, tmp_path):
    batches, task = make_batches(recipe), make_identity_task(recipe)
    task.backward = _Interrupt(task.backward, at=3 * batches.per_epoch + 1)
    with pytest.raises(KeyboardInterrupt):
        fit(task, batches, recipe, tmp_path, cpu)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    losses = {event.step: event.value for event in events.Scalars("loss/total")}
    assert losses == {record["epoch"]: pytest.approx(record["loss"]) for record in read_metrics(tmp_path)}
    assert list(losses) == [1, 2, 3]
