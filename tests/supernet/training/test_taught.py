"""A supernet that learns from a network of another training."""

from __future__ import annotations

import contextlib
import copy
import dataclasses

import pytest
import torch
from torch import nn

from reid.config import build_config
from reid.engine.tasks.task import StepContext
from reid.engine.tasks.teacher import Teacher, distillation_losses
from reid.errors import UserError
from supernet.space.genome import largest, smallest
from supernet.supernet import Supernet
from supernet.training import SupernetRecipe, SupernetTask
from supernet.training.sampling import step_archs, uniform

CLASSES = 5
TAUGHT = {"teacher": "a/run", "logits": 0.7, "temperature": 2.0, "similarity": 3.0}


@pytest.fixture
def teacher(toy_space):
    with torch.random.fork_rng():
        torch.manual_seed(9)
        network = Supernet(toy_space).extract(largest(toy_space)).double().train()
        network(torch.randn(16, 3, *toy_space.input_size).double())  # running statistics
        classifier = nn.Linear(network.feature_dim, CLASSES, bias=False).double()
    return Teacher(network.eval().requires_grad_(False), (classifier.requires_grad_(False),))


def _task(space, distillation, teacher=None, **config) -> SupernetTask:
    recipe = {"losses": {"distillation": distillation}}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = build_config(SupernetRecipe, {"recipe": recipe, **config}, "test")
        task = SupernetTask(Supernet(space), CLASSES, config, seed=4, teacher=teacher).double()
    task.classifier.weight.data *= 300  # so that logits matter
    return task


def _batch(space):
    images = torch.randn(10, 3, *space.input_size, generator=torch.Generator().manual_seed(1)).double()
    return images, torch.arange(CLASSES).repeat_interleave(2)


def _step(task, number=7):
    seen = []
    context = StepContext(
        number, 0.5, torch.Generator(), contextlib.nullcontext, lambda loss: (seen.append(loss), loss.backward())
    )
    log = task.backward(*_batch(task.supernet.space), context)
    return log, [float(loss.detach()) for loss in seen]


def _distilled(task, teacher, number=7):
    """What the teacher's losses come to for each arch of a step."""
    space, losses = task.supernet.space, task.config.recipe.losses.distillation
    images, _ = _batch(space)
    told = teacher(images, contextlib.nullcontext)
    outputs = [
        task.supernet.outputs(images, arch)
        for (arch,) in step_archs(space, task.config.sampling, uniform(space), task.seed, number, 0.5)
    ]
    return [
        float(distillation_losses(each.embedding, task.classifier(each.embedding), *told, losses).detach())
        for each in outputs
    ]


@pytest.mark.parametrize(("largest_every", "weights"), [(0, [1, 1, 1]), (1, [1, 0.4, 0.4, 0.4])])
def test_every_arch_is_told_beside_its_labels(toy_space, teacher, largest_every, weights):
    """Of what the largest teaches, that is the recipe's own part."""
    sampling = {"archs": 3, "largest_every": largest_every}
    plain, taught = (
        _task(toy_space, distillation, who, sampling=sampling, label_weight=0.4)
        for distillation, who in (({}, None), (TAUGHT, teacher))
    )
    told = _distilled(taught, teacher)
    (before, without), (log, with_it) = (_step(each) for each in (plain, taught))
    assert len(told) == len(weights) and min(told) > 0.1
    for one, other, own, weight in zip(without, with_it, told, weights, strict=True):
        assert (other - one) * len(weights) == pytest.approx(weight * own, rel=1e-4)
    assert float(log["loss_distillation"]) == pytest.approx(told[0], rel=1e-5)
    assert float(log["loss"]) == pytest.approx(float(before["loss"]) + told[0], rel=1e-5)
    assert "loss_distillation" not in before


def test_the_teacher_is_asked_once_a_step_and_is_no_part_of_what_is_kept(plus_space):
    shown = []

    class Seeing(nn.Module):
        feature_dim = 3

        def outputs(self, images):
            shown.append(tuple(images.shape))
            return type("Output", (), {"embedding": images.mean((2, 3)), "parts": ()})

    teacher = Teacher(Seeing())
    told = {"teacher": "a/run", "similarity": 1.0}
    task = _task(plus_space, told, teacher, sampling={"archs": 4, "attentive": "best", "attentive_of": 2})
    plain = _task(plus_space, {}, sampling={"archs": 4})
    _step(task)
    assert shown == [(10, 3, *plus_space.input_size)]
    assert task.state_dict().keys() == plain.state_dict().keys() and copy.deepcopy(task)._teacher[0] is teacher


def test_what_a_teacher_cannot_tell(toy_space, teacher):
    classifier = nn.Linear(teacher.network.feature_dim, CLASSES + 1)
    with pytest.raises(
        UserError,
        match="^teacher a/run: was trained on 6 identities, the student on 5; set losses.distillation.logits=0$",
    ):
        _task(toy_space, TAUGHT, dataclasses.replace(teacher, classifiers=(classifier,)))
    vectors = {"teacher": "a/run", "embedding": 1.0}
    with pytest.raises(UserError, match="distillation.embedding: archs of this space have embeddings of different"):
        _task(toy_space, vectors, teacher)
    one_length = dataclasses.replace(toy_space, embedding=6)
    with pytest.raises(UserError, match="teacher a/run: its embedding has 10 numbers, but the student's has 6"):
        _task(one_length, vectors, teacher)
    network = Supernet(one_length).extract(smallest(one_length)).eval()
    _task(one_length, vectors, Teacher(network))
