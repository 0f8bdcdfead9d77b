"""Steps that are recorded and replayed do what steps that are launched kernel by kernel do."""

from __future__ import annotations

import copy
import dataclasses
import functools

import pytest
import torch

from reid.engine.cuda_graph import WARM_UP, can_record
from reid.engine.machine.device import seeded
from reid.engine.machine.distributed import SINGLE, Processes
from reid.engine.recipe import Recipe
from reid.engine.recipe.averaging import AveragingConfig
from reid.engine.recipe.optimizers import GroupEpochs, OptimizerConfig, freeze, frozen_groups
from reid.engine.tasks.identity_task import IdentityTask
from reid.engine.tasks.teacher import Teacher
from reid.engine.training_step import TrainingStep
from reid.losses.config import LossConfig
from reid.models.classifiers import Classifier
from reid.models.heads import HeadConfig, PartsConfig
from supernet.files import arch_from_rows
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
            told = Teacher(build_network(ARCH).eval().to(CUDA), (Classifier(16, CLASSES).to(CUDA),))
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
    "plain": {},
    "bf16": {"precision": "bf16"},
    "dropout": {"head": HeadConfig(dropout=0.5)},
    "semi-hard, clipped": {"losses": LossConfig(triplet={"selection": "semi_hard"}), "clip_gradient": 1.0},
    "center": {"losses": LossConfig(center={"weight": 0.1})},
    "teacher": {"losses": LossConfig(distillation={"teacher": "t", "similarity": 1.0})},
    "ema": {"averaging": AveragingConfig("ema")},
    "a backbone that is fixed at first": {"optimizer": OptimizerConfig(freeze_epochs=GroupEpochs(backbone=1))},
}


def step_of(recipe: Recipe) -> TrainingStep:
    return TrainingStep(
        identity_task(recipe, bool(recipe.losses.distillation.teacher)).to(CUDA), recipe, CUDA, PER_EPOCH
    )


def batch(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(12, 3, *SIZE, generator=torch.Generator().manual_seed(number))
    labels = (torch.arange(12) // 2 + number).remainder(CLASSES)
    return images.to(CUDA, memory_format=torch.channels_last), labels.to(CUDA)


def run(step: TrainingStep, number: int) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The log and the gradients of a step."""
    step.task.train()
    freeze(step.task, step.optimizer, frozen_groups(step.recipe.optimizer, 1 + number // PER_EPOCH))
    log, _ = step(*batch(number), number)
    named = step.task.named_parameters()
    return log, {name: each.grad.clone() for name, each in named if each.grad is not None}


@needs_gpu
@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS)
def test_replayed_steps_are_the_steps(changes):
    """Each step from the same state: over several, differences of rounding would grow."""
    recorded = step_of(Recipe(**changes))
    plain = step_of(Recipe(**changes, cuda_graph=False))
    for number in range(STEPS):
        plain.load_state(copy.deepcopy(recorded.state()))
        (log, gradients), (expected, wanted) = run(recorded, number), run(plain, number)
        close = functools.partial(torch.testing.assert_close, rtol=1e-2, atol=1e-3)
        close(log, expected, msg=lambda words, at=number: f"log of step {at}: {words}")
        close(gradients, wanted, msg=lambda words, at=number: f"gradient of step {at}: {words}")
        state, aim = (each.task.state_dict() for each in (recorded, plain))
        close(state, aim, msg=lambda words, at=number: f"weights after step {at}: {words}")
    assert recorded._recorded._recording is not None and plain._recorded is None


@needs_gpu
def test_a_log_is_kept_while_the_next_step_runs():
    step = step_of(Recipe())
    logs = [run(step, number)[0] for number in range(STEPS)]
    assert len({float(log["loss"]) for log in logs}) == STEPS
