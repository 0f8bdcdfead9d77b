"""The training loop: it learns, steps by the formula, and stops where the loss is no number."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import nn

from reid.data.augment import AugmentConfig
from reid.data.prepare import prepare
from reid.data.records import ImageSet
from reid.engine.batches import training_batches
from reid.engine.recipe import LossConfig, OptimizerConfig, Recipe, ScheduleConfig
from reid.engine.runs.run_folder import read_metrics
from reid.engine.trainer import STATE, Monitor, fit
from reid.errors import UserError
from reid.losses.config import ClassificationConfig


def test_learns_a_learnable_set(make_task, make_batches, recipe, cpu, tmp_path):
    recipe = replace(
        recipe,
        epochs=16,
        identities=6,  # all of them: each batch has the same statistics
        optimizer=OptimizerConfig(name="adam", lr=0.01),
        augment=AugmentConfig(pad=0, erase=0.0),
        losses=LossConfig(classification=ClassificationConfig(smoothing=0.0)),
    )
    fit(make_task(recipe), make_batches(recipe), recipe, tmp_path, cpu)
    first, *_, last = read_metrics(tmp_path)
    assert last["loss"] < 0.5 * first["loss"]
    assert last["accuracy"] > 0.9 > first["accuracy"]
    assert last["distance_gap"] > first["distance_gap"] and last["active_triplets"] <= first["active_triplets"]


class _Line(nn.Module):
    """A task with one weight ``w`` and the loss ``slope * w``: its gradient is known."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([[2.0]]))
        self.slope, self.seen = slope, []

    def backward(self, images, labels, context):
        self.seen.append(context.number)
        loss = self.slope * self.w.sum()
        context.backward(loss)
        return {"loss": loss.detach()}


def _plain(epochs: int, **change) -> Recipe:
    return Recipe(
        epochs=epochs,
        identities=3,
        instances=2,
        optimizer=OptimizerConfig(lr=0.1, momentum=0.0, weight_decay=0.0),
        schedule=ScheduleConfig(name="constant"),
        **change,
    )


def test_steps_follow_sgd(make_batches, cpu, tmp_path):
    recipe, task = _plain(2), _Line(3.0)
    batches = make_batches(recipe)
    fit(task, batches, recipe, tmp_path, cpu)
    steps = 2 * batches.per_epoch
    assert task.seen == list(range(steps))
    assert float(task.w.detach()) == pytest.approx(2.0 - steps * 0.1 * 3.0, rel=1e-5)
    # The mean of the losses before each step of the first epoch.
    wanted = sum(3.0 * (2.0 - 0.3 * step) for step in range(batches.per_epoch)) / batches.per_epoch
    assert read_metrics(tmp_path)[0]["loss"] == pytest.approx(wanted, rel=1e-5)


def test_rate_follows_the_schedule_step_by_step(make_batches, cpu, tmp_path):
    recipe = replace(_plain(2), schedule=ScheduleConfig(name="multistep", warmup=1, warmup_start=0.5, milestones=(1,)))
    task = _Line(1.0)
    batches = make_batches(recipe)
    fit(task, batches, recipe, tmp_path, cpu)
    count = batches.per_epoch
    rates = [0.1 * (0.5 + 0.5 * step / count) for step in range(count)] + [0.01] * count
    assert float(task.w.detach()) == pytest.approx(2.0 - sum(rates), rel=1e-5)
    assert [record["lr"] for record in read_metrics(tmp_path)] == pytest.approx([rates[count - 1], 0.01])


def test_clipping_bounds_the_step(make_batches, cpu, tmp_path):
    recipe, task = _plain(1, clip_gradient=0.25), _Line(-40.0)
    batches = make_batches(recipe)
    fit(task, batches, recipe, tmp_path, cpu)
    assert float(task.w.detach()) == pytest.approx(2.0 + batches.per_epoch * 0.1 * 0.25, rel=1e-5)
    assert read_metrics(tmp_path)[0]["gradient_norm"] == pytest.approx(40.0)


@pytest.mark.parametrize("slope", [float("nan"), float("inf")])
def test_loss_that_is_no_number(make_batches, cpu, tmp_path, slope):
    recipe = _plain(3)
    with pytest.raises(UserError, match="loss is not finite in epoch 1; lower optimizer.lr") as caught:
        fit(_Line(slope), make_batches(recipe), recipe, tmp_path, cpu)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / STATE).exists() and read_metrics(tmp_path) == []


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision(make_task, make_batches, recipe, cpu, tmp_path, precision):
    """Close to fp32 after one epoch at a low rate, and not the same: autocast did run."""
    losses = {}
    for name in ("fp32", precision):
        (tmp_path / name).mkdir()
        own = replace(recipe, epochs=1, precision=name, optimizer=OptimizerConfig(lr=1e-4))
        task = make_task(own)
        fit(task, make_batches(own), own, tmp_path / name, cpu)
        losses[name] = read_metrics(tmp_path / name)[0]["loss"]
        assert all(parameter.dtype == torch.float32 for parameter in task.parameters())
    assert losses[precision] == pytest.approx(losses["fp32"], rel=0.03)
    assert losses[precision] != losses["fp32"]


def test_monitor_is_asked_at_its_epochs(make_identity_task, make_batches, recipe, cpu, tmp_path):
    recipe = replace(recipe, epochs=5, evaluate_every=2)
    task = make_identity_task(recipe)

    def evaluate(looked_at):
        assert looked_at is task
        task.eval()  # as an evaluation does; the next epoch must train all the same
        return {"holdout_mAP": 0.25}

    fit(task, make_batches(recipe), recipe, tmp_path, cpu, monitor=Monitor(evaluate))
    assert [r["epoch"] for r in read_metrics(tmp_path) if "holdout_mAP" in r] == [2, 4, 5]
    assert task.training is False  # the last look came after the last step
    counted = task.network.backbone.stem.bn.num_batches_tracked
    assert counted == 5 * make_batches(recipe).per_epoch


def test_records_and_estimate(make_identity_task, make_batches, recipe, cpu, tmp_path):
    told = []
    recipe = replace(recipe, epochs=4)
    fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path, cpu, on_estimate=told.append)
    records = read_metrics(tmp_path)
    wanted = {"loss", "loss_ce", "loss_triplet", "active_triplets", "accuracy", "gradient_norm", "epoch", "lr"}
    wanted |= {"distance_positive", "distance_negative", "distance_gap"}
    wanted |= {"embedding_spread", "feature_norm", "identity_variance"}
    assert all(record.keys() == wanted | {"images_per_second", "peak_memory_mib"} for record in records)
    assert len(told) == 1 and told[0] > 0
    assert all(json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines())


def test_the_estimate_waits_for_steps_in_which_all_parts_learn(make_identity_task, make_batches, recipe, cpu, tmp_path):
    """Steps with a fixed backbone take a third of the time: by them a training of 95 minutes was said to take 27."""
    at, freeze = [], replace(recipe.optimizer.freeze_epochs, backbone=3)
    recipe = replace(recipe, epochs=8, optimizer=replace(recipe.optimizer, freeze_epochs=freeze))
    batches = make_batches(recipe)
    assert 3 * batches.per_epoch >= 13  # so many steps are enough to tell from where nothing is fixed

    def told(seconds):
        at.append(len(read_metrics(tmp_path)))

    fit(make_identity_task(recipe), batches, recipe, tmp_path, cpu, on_estimate=told)
    assert len(at) == 1 and at[0] >= 3 + 13 // batches.per_epoch


def test_a_field_that_comes_in_the_middle_of_an_epoch_is_a_mean_of_its_own_steps(make_batches, cpu, tmp_path):
    recipe, task = _plain(1), _Line(1.0)
    backward = task.backward

    def later(images, labels, context):
        log = backward(images, labels, context)
        return log | {"late": torch.tensor(float(context.number))} if context.number else log

    task.backward, batches = later, make_batches(recipe)
    fit(task, batches, recipe, tmp_path, cpu)
    assert read_metrics(tmp_path)[0]["late"] == pytest.approx(batches.per_epoch / 2)


def test_peak_memory_is_of_this_training(make_batches, cpu, tmp_path, monkeypatch):
    """What the process did before on a GPU is left out; here that is asked for is all that can be seen."""
    reset, recipe = [], _plain(1)
    monkeypatch.setattr("reid.engine.trainer.reset_peak_memory", reset.append)
    fit(_Line(1.0), make_batches(recipe), recipe, tmp_path, cpu)
    assert reset == [cpu]


@pytest.mark.parametrize("progress", [True, False])
def test_a_caller_can_have_it_quiet(make_batches, cpu, tmp_path, capsys, progress):
    recipe = _plain(1)
    with pytest.raises(UserError):  # the guard takes it back, and says so, until it may no more
        fit(_Line(float("nan")), make_batches(recipe), recipe, tmp_path, cpu, progress=progress)
    out, err = capsys.readouterr()
    assert ("guard:" in out, "training:" in err) == (progress, progress)
    assert progress or out + err == ""


def test_frozen_parameters_stay(make_identity_task, make_batches, recipe, cpu, tmp_path):
    task = make_identity_task(recipe)
    fit(task, make_batches(recipe), recipe, tmp_path, cpu)
    assert torch.equal(task.network.head.neck.bias, torch.zeros(task.network.feature_dim))


def test_batches_are_a_function_of_the_epoch(make_batches, recipe, image_set):
    batches = make_batches(recipe)
    first, again = list(batches.epoch(2)), list(make_batches(recipe).epoch(2))
    assert len(first) == batches.per_epoch
    for (images, labels), (same, same_labels) in zip(first, again, strict=True):
        assert torch.equal(images, same) and torch.equal(labels, same_labels)
        assert images.shape == (6, 3, 32, 16) and images.dtype == torch.float32
        assert labels.bincount(minlength=6).sort().values.tolist() == [0, 0, 0, 2, 2, 2]
    assert not all(torch.equal(a[0], b[0]) for a, b in zip(first, batches.epoch(3), strict=True))


def test_batches_are_the_sets_own_images(make_batches, recipe, image_set):
    plain = replace(recipe, augment=AugmentConfig(flip=0, pad=0, erase=0))
    known = prepare(image_set.images, (32, 16))
    for images, labels in make_batches(plain).epoch(1):
        for image, label in zip(images, labels, strict=True):
            (index,) = (known == image).flatten(1).all(1).nonzero()
            assert image_set.pids[index] == label


@pytest.mark.parametrize("seed", [0, 2026112103, 2**31 - 1])
def test_any_seed_will_do(image_set, recipe, cpu, seed):
    batches = training_batches(image_set, recipe, (32, 16), seed, cpu)
    images, _ = next(batches.epoch(350))
    assert images.isfinite().all()


def test_augmentation_is_another_one_at_every_step_of_every_epoch_and_for_every_seed(recipe, cpu):
    """Of images that are all the same, only the augmentation differs."""
    gradient = torch.arange(32 * 16 * 3).remainder(251).to(torch.uint8).view(1, 32, 16, 3)
    pids = torch.arange(3).repeat_interleave(4)
    alike = ImageSet(gradient.repeat(12, 1, 1, 1), pids, torch.ones(12, dtype=torch.int64))
    recipe = replace(recipe, augment=AugmentConfig(pad=4))
    seen = [
        images
        for seed in (0, 1)
        for epoch in (1, 2)
        for images, _ in training_batches(alike, recipe, (32, 16), seed, cpu).epoch(epoch)
    ]
    assert len(seen) == 8
    assert not any(torch.equal(a, b) for a, b in combinations(seen, 2))
