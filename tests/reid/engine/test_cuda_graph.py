"""Steps that are recorded and replayed do what steps that are launched kernel by kernel do."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from reid.engine.cuda_graph import WARM_UP, can_record
from reid.engine.device import seeded
from reid.engine.distributed import SINGLE, Processes
from reid.engine.identity_task import IdentityTask
from reid.engine.optimizers import GroupEpochs, OptimizerConfig, freeze, frozen_groups
from reid.engine.recipe import Recipe
from reid.engine.teacher import Teacher
from reid.engine.training_step import TrainingStep
from reid.losses.config import LossConfig
from reid.models.classifiers import Classifier
from reid.models.heads import HeadConfig, PartsConfig
from supernet.arch_forms import arch_from_rows
from supernet.network import build_network
from supernet.space import Space, StageSpace
from supernet.supernet import Supernet
from supernet.training import SupernetRecipe, SupernetTask

CUDA, SIZE, CLASSES = torch.device("cuda"), (64, 32), 6
ARCH = arch_from_rows(((1, 4, 1, 1), (2, 8, 2, 2), (3, 8, 1, 2)), input_size=SIZE, stem=4, last_width=16)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")


def identity_task(recipe: Recipe, teacher: bool = False) -> IdentityTask:
    with seeded(7):
        told = None
        if teacher:
            told = Teacher(build_network(ARCH).eval().to(CUDA), Classifier(16, CLASSES).to(CUDA))
        return IdentityTask(build_network(ARCH, recipe.head), CLASSES, recipe.losses, told)


STRIPES = PartsConfig(stripes=4, embedding=3)
MARGIN = {"classification": {"kind": "circle", "margin_warmup": 2.0}}


@pytest.mark.parametrize(
    ("recipe", "recorded"),
    [
        (Recipe(), True),
        (Recipe(precision="bf16", compile=True, clip_gradient=1.0), True),
        (Recipe(losses=LossConfig(triplet={"selection": "semi_hard"}, center={"weight": 1.0})), True),
        (Recipe(losses=LossConfig(classification={"kind": "circle"})), True),
        (Recipe(head=HeadConfig(dropout=0.5, parts=STRIPES)), True),
        (Recipe(cuda_graph=False), False),
        (Recipe(precision="fp16"), False),
        (Recipe(losses=LossConfig(triplet={"selection": "random_negative"})), False),
        (Recipe(losses=LossConfig(**MARGIN)), False),
        (Recipe(head=HeadConfig(parts=dataclasses.replace(STRIPES, update="random"))), False),
    ],
)
def test_what_is_recorded(recipe, recorded):
    task = identity_task(recipe)
    assert can_record(task, recipe, CUDA, SINGLE) == recorded
    assert not can_record(task, recipe, torch.device("cpu"), SINGLE)
    assert not can_record(task, recipe, CUDA, Processes(0, 2, CUDA))


def test_the_steps_of_a_supernet_are_not():
    space = Space("toy", SIZE, (4,), (StageSpace(2, (6, 8), (1,), (3,), (2,)),), (12,))
    task = SupernetTask(Supernet(space), CLASSES, SupernetRecipe(), seed=0)
    assert not can_record(task, Recipe(), CUDA, SINGLE)


STEPS, PER_EPOCH = 2 * WARM_UP + 4, WARM_UP + 2
KINDS = {
    "plain": ({}, 1e-4),
    "bf16": ({"precision": "bf16"}, 2e-2),
    "dropout": ({"head": HeadConfig(dropout=0.5)}, 1e-4),
    "semi-hard, clipped": ({"losses": LossConfig(triplet={"selection": "semi_hard"}), "clip_gradient": 1.0}, 1e-4),
    "center": ({"losses": LossConfig(center={"weight": 0.1})}, 1e-4),
    "teacher": ({"losses": LossConfig(distillation={"teacher": "t", "similarity": 1.0})}, 1e-4),
    "a backbone that is fixed at first": (
        {"optimizer": OptimizerConfig(freeze_epochs=GroupEpochs(backbone=1))},
        1e-4,
    ),
}


def trained(recipe: Recipe) -> tuple[dict[str, torch.Tensor], list[dict[str, float]], TrainingStep]:
    task = identity_task(recipe, recipe.losses.distillation.teacher is not None).to(CUDA)
    step = TrainingStep(task, recipe, CUDA, PER_EPOCH)
    generator = torch.Generator().manual_seed(1)
    logs = []
    for number in range(STEPS):
        task.train()
        freeze(task, step.optimizer, frozen_groups(recipe.optimizer, 1 + number // PER_EPOCH))
        images = torch.randn(12, 3, *SIZE, generator=generator).to(CUDA, memory_format=torch.channels_last)
        labels = (torch.arange(12) // 2 + number).remainder(CLASSES).to(CUDA)
        logs.append(step(images, labels, number)[0])
    return task.state_dict(), [{name: float(value) for name, value in log.items()} for log in logs], step


@needs_gpu
@pytest.mark.parametrize(("changes", "tolerance"), KINDS.values(), ids=KINDS)
def test_replayed_steps_are_the_steps(changes, tolerance):
    recipe = Recipe(**changes)
    expected, wanted, plain = trained(dataclasses.replace(recipe, cuda_graph=False))
    weights, logs, step = trained(recipe)
    assert step._recorded._recording is not None and plain._recorded is None
    for own, theirs in zip(logs, wanted, strict=True):
        assert own == pytest.approx(theirs, rel=50 * tolerance, abs=50 * tolerance)
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            weights[name], value, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


@needs_gpu
def test_a_log_is_kept_while_the_next_step_runs():
    _, logs, _ = trained(Recipe())
    assert len({log["loss"] for log in logs}) == STEPS
