"""One step: what it draws, what the task is told, the gradient's norm, and the state that it leaves."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from reid.engine.machine.distributed import Processes
from reid.engine.recipe import OptimizerConfig, Recipe, ScheduleConfig
from reid.engine.recipe.averaging import AveragingConfig
from reid.engine.seeds import step_seed
from reid.engine.training_step import TrainingStep

CPU = torch.device("cpu")
RECIPE = Recipe(
    epochs=4,
    identities=3,
    instances=2,
    optimizer=OptimizerConfig(lr=0.1, momentum=0.5, nesterov=False, weight_decay=0.0),
    schedule=ScheduleConfig(name="constant"),
)


class _Line(nn.Module):
    """The loss ``slope * w``; keeps what it is told and what it draws."""

    def __init__(self, slope: float = 3.0) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([[2.0]]))
        self.slope, self.told, self.of_losses, self.of_layers = slope, [], [], []

    def backward(self, images, labels, context):
        self.told.append((context.number, context.epoch))
        self.of_losses.append(tuple(torch.rand(4, generator=context.generator).tolist()))
        self.of_layers.append(tuple(torch.rand(4).tolist()))
        loss = self.slope * self.w.sum()
        context.backward(loss)
        return {"loss": loss.detach()}


def _run(step: TrainingStep, numbers) -> list[dict]:
    return [step(torch.zeros(6, 1), torch.zeros(6, dtype=torch.int64), number)[0] for number in numbers]


def test_every_step_draws_anew_for_losses_layers_and_augmentation():
    """And another seed draws anew too; of several processes the losses draw the same, the layers do not."""
    drawn = []
    for seed in (0, 1):
        for rank in (0, 1):
            task = _Line()
            _run(TrainingStep(task, RECIPE, CPU, 3, seed, Processes(rank, 1, CPU)), range(6))
            drawn.append(task)
            for number in range(6):
                augmentation = torch.Generator().manual_seed(step_seed(seed, number // 3 + 1, number % 3, rank))
                task.of_layers.append(tuple(torch.rand(4, generator=augmentation).tolist()))
    assert drawn[0].of_losses == drawn[1].of_losses and drawn[2].of_losses == drawn[3].of_losses
    different = [*drawn[0].of_losses, *drawn[2].of_losses, *(each for task in drawn for each in task.of_layers)]
    assert len(set(different)) == len(different) == 12 + 48


def test_the_task_is_told_the_epoch_with_its_fraction():
    task = _Line()
    _run(TrainingStep(task, RECIPE, CPU, 4), (0, 1, 3, 4, 10))
    assert task.told == [(0, 0.0), (1, 0.25), (3, 0.75), (4, 1.0), (10, 2.5)]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_norm_and_its_limit_are_of_the_gradient_whatever_its_scale(precision):
    task = _Line()
    log = _run(TrainingStep(task, replace(RECIPE, precision=precision, clip_gradient=0.5), CPU, 3), range(2))
    assert [float(each["gradient_norm"]) for each in log] == [3.0, 3.0]
    assert float(task.w.detach()) == pytest.approx(2.0 - 0.1 * 0.5 - 0.1 * (0.5 + 0.25), rel=1e-5)


def test_the_state_holds_weights_velocities_averages_and_the_scale():
    recipe = replace(RECIPE, precision="fp16", averaging=AveragingConfig("ema", decay=0.9))
    first, second = (TrainingStep(_Line(), recipe, CPU, 3) for _ in range(2))
    _run(first, range(3))
    first.task.slope = float("inf")
    _run(first, (3,))  # the scaler leaves it out, and lowers its scale
    assert first.scaler.get_scale() < second.scaler.get_scale()
    second.load_state(copy.deepcopy(first.state()))  # as from a file
    assert second.scaler.get_scale() == first.scaler.get_scale()
    for step in (first, second):
        step.task.slope = 3.0
        _run(step, range(4, 7))
    assert torch.equal(first.task.w, second.task.w) and torch.equal(first.result.w, second.result.w)
    assert not torch.equal(first.task.w, first.result.w)


def test_the_result_is_the_task_until_an_average_has_begun():
    step = TrainingStep(_Line(), replace(RECIPE, averaging=AveragingConfig("swa", start=0.5)), CPU, 3)
    seen = []
    for number in range(12):
        _run(step, (number,))
        seen.append(step.result is step.task)
    begins = 3 * step.recipe.averaging.first_epoch(4)
    assert seen == [number + 1 < begins for number in range(12)] and 0 < begins < 12
