"""What a training is taken back for, and what holds its checkpoints up."""

from __future__ import annotations

import json

import pytest
import torch

import reid.engine.trainer as trainer_module
from reid.engine.guard.rollback import ROLLBACKS
from reid.engine.recipe.divergence import GuardConfig
from reid.engine.runs.run_folder import read_metrics
from reid.engine.trainer import fit
from reid.errors import UserError
from tests.reid.engine.guard.blow_ups import Valley, plain, records


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
    with pytest.raises(UserError, match="the gradient is not finite at any scale in epoch .*rolled back 1 time,"):
        fit(Steep(range(10**6)), batches, recipe, tmp_path, cpu)


def test_a_gradient_that_is_none_is_found_before_the_weights_that_it_makes(make_batches, cpu, tmp_path):
    """In the last step of epoch 2: no loss has seen these weights."""
    recipe = plain(3, 0.1, guard=GuardConfig(rollbacks=0))
    batches = make_batches(recipe)
    with pytest.raises(UserError, match="the gradient norm is not finite in epoch 2"):
        fit(Steep(range(2 * batches.per_epoch - 1, 2 * batches.per_epoch)), batches, recipe, tmp_path, cpu)


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
