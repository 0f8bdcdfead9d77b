"""Learning from a teacher alone on blended images: student and teacher see the same."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn

from reid.config import build_config
from reid.data.mixup import blended
from reid.engine.machine.device import seeded
from reid.engine.recipe import Recipe
from reid.engine.tasks.identity_task import IdentityTask
from reid.engine.tasks.objective import same_every_step
from reid.engine.tasks.task import StepContext
from reid.engine.tasks.teacher import Teacher
from reid.losses.config import LossConfig
from reid.models.heads import HeadConfig
from reid.models.heads.branch_update import ALL_BRANCHES
from supernet.files import arch_from_rows
from supernet.network import build_network
from supernet.supernet import Supernet
from supernet.training import SupernetRecipe, SupernetTask

LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])


class Seeing(nn.Module):
    """A teacher that keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[torch.Tensor] = []

    def outputs(self, images):
        self.shown.append(images)
        return type("Output", (), {"embedding": images.flatten(1), "parts": ()})


def _losses(mixup: float) -> LossConfig:
    off = {"weight": 0.0}
    told = {"teacher": "a/run", "similarity": 1.0, "mixup": mixup}
    return build_config(LossConfig, {"classification": off, "triplet": off, "distillation": told}, "test")


def _step(task, images) -> dict[str, torch.Tensor]:
    context = StepContext(0, 0.0, torch.Generator(), contextlib.nullcontext, lambda loss: loss.backward())
    with seeded(7):
        return task.backward(images, LABELS, context)


@pytest.mark.parametrize("kind", ["network", "supernet"])
@pytest.mark.parametrize("mixup", [0.0, 0.5])
def test_student_and_teacher_see_the_same_blended_images(kind, mixup, toy_space):
    teacher, seen = Seeing(), []
    with seeded(5):
        if kind == "network":
            arch = arch_from_rows(((1, 4, 1, 1), (2, 8, 1, 2)), input_size=(32, 16), stem=4, last_width=12)
            task = IdentityTask(build_network(arch, HeadConfig()), 4, _losses(mixup), Teacher(teacher))
            student, images = task.network.backbone, torch.randn(8, 3, 32, 16)
        else:
            recipe = SupernetRecipe(recipe=Recipe(losses=_losses(mixup)))
            task = SupernetTask(Supernet(toy_space), 4, recipe, seed=4, teacher=Teacher(teacher))
            student, images = task.supernet.stem, torch.randn(8, 3, *toy_space.input_size)
    student.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    _step(task, images)
    with seeded(7):
        wanted = blended(images, mixup) if mixup else images
    (shown,) = teacher.shown
    assert torch.equal(shown, wanted)
    assert seen and all(torch.equal(each, wanted) for each in seen)
    assert torch.equal(wanted, images) is (mixup == 0.0)


def test_a_step_that_blends_is_not_recorded():
    assert same_every_step(_losses(0.0), ALL_BRANCHES) and not same_every_step(_losses(0.5), ALL_BRANCHES)
