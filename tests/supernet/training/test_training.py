"""Sandwich rule and the supernet's training step, each against the formula."""

from __future__ import annotations

import contextlib
import dataclasses
import functools

import pytest
import torch
from torch.nn import functional as F

from reid.data.prepare import resize_prepared
from reid.engine.recipe import Recipe
from reid.engine.tasks.task import StepContext
from reid.errors import UserError
from reid.losses.config import LossConfig
from reid.losses.triplet import batch_hard_triplet
from reid.models.classifiers import Classifier
from supernet.supernet import Supernet
from supernet.training import SupernetRecipe, SupernetTask
from supernet.training.sampling import SamplingConfig, step_archs, uniform


def make_task(space, config: SupernetRecipe) -> tuple[SupernetTask, torch.Tensor, torch.Tensor]:
    """A fresh task in double precision, and a batch of 5 identities with 2 images each."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        task = SupernetTask(Supernet(space), 5, config, seed=4).double()
        images = torch.randn(10, 3, *space.input_size).double()
    task.classifier.weight.data *= 300  # so that logits matter
    return task, images, torch.arange(5).repeat_interleave(2)


def step_of(task: SupernetTask, images: torch.Tensor, labels: torch.Tensor, number: int = 7, epoch: float = 0.5):
    """One step's log, and the losses that it took gradients of."""
    seen = []
    context = StepContext(
        number, epoch, torch.Generator(), contextlib.nullcontext, lambda loss: (seen.append(loss), loss.backward())
    )
    return task.backward(images, labels, context), seen


def places_of(task: SupernetTask, number: int = 7, epoch: float = 0.5):
    space = task.supernet.space
    return step_archs(space, task.config.sampling, uniform(space), task.seed, number, epoch)


def test_training_step_is_the_sum_over_the_archs(toy_space):
    """One graph of everything at once gives the gradient that the step adds up arch by arch."""
    losses = LossConfig(classification={"weight": 0.7, "smoothing": 0.1}, triplet={"weight": 1.3, "margin": 0.3})
    config = SupernetRecipe(
        Recipe(losses=losses),
        sampling=SamplingConfig(archs=2, smallest=True),
        label_weight=0.4,
        logit_weight=0.9,
        similarity_weight=3.0,
    )
    task, images, labels = make_task(toy_space, config)
    log, seen = step_of(task, images, labels)
    got = {name: p.grad.clone() for name, p in task.named_parameters() if p.grad is not None}
    assert len(seen) == 4

    task.zero_grad()
    archs = [arch for (arch,) in places_of(task)]
    runs = [task.supernet.outputs(images, arch) for arch in archs]
    logits = [run.embedding @ task.classifier.weight[:, : run.embedding.shape[1]].T for run in runs]
    labelled = [
        0.7 * F.cross_entropy(logit, labels, label_smoothing=0.1)
        + 1.3 * batch_hard_triplet(run.feature, labels, 0.3).loss
        for run, logit in zip(runs, logits, strict=True)
    ]
    teacher = logits[0].detach().softmax(1)

    def similarity(x):
        return F.cosine_similarity(x[:, None], x[None], dim=2)

    total = labelled[0]
    for run, logit, own in zip(runs[1:], logits[1:], labelled[1:], strict=True):
        divergence = (teacher * (teacher.log() - logit.log_softmax(1))).sum(1).mean()
        likeness = (similarity(run.embedding) - similarity(runs[0].embedding.detach())).square().mean()
        total = total + 0.4 * own + 0.9 * divergence + 3.0 * likeness
    (total / 4).backward()
    assert float(sum(seen).detach()) == pytest.approx(float(total.detach()) / 4, rel=1e-5)
    assert float(log["loss"]) == pytest.approx(float(labelled[0].detach()), rel=1e-5)
    assert float(log["smallest_loss"]) == pytest.approx(float(labelled[1].detach()), rel=1e-5)
    scale = max(float(gradient.abs().max()) for gradient in got.values())
    for name, parameter in task.named_parameters():
        if parameter.grad is not None:  # the losses are computed in float32
            torch.testing.assert_close(got[name], parameter.grad, rtol=1e-3, atol=1e-6 * scale)
    assert got.keys() == {name for name, p in task.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("attentive", "pick"), [("best", min), ("worst", max)])
def test_attentive_step_trains_the_arch_with_the_least_or_greatest_loss(toy_space, attentive, pick):
    config = SupernetRecipe(
        sampling=SamplingConfig(archs=2, smallest=False, attentive=attentive, attentive_of=4),
        label_weight=1.0,
        logit_weight=0.0,
        similarity_weight=0.0,
    )
    task, images, labels = make_task(toy_space, config)
    _, seen = step_of(task, images, labels)
    assert len(seen) == 3
    for taken, place in zip(seen[1:], places_of(task)[1:], strict=True):
        losses = []
        for arch in place:
            output = task.supernet.outputs(images, arch)
            logits = output.embedding @ task.classifier.weight[:, : output.embedding.shape[1]].T
            own = F.cross_entropy(logits, labels, label_smoothing=0.1)
            losses.append(float((own + batch_hard_triplet(output.feature, labels, 0.3).loss).detach()))
        assert len(set(losses)) > 1
        assert float(taken.detach()) == pytest.approx(pick(losses) / 3, rel=1e-5)


def test_archs_that_are_only_compared_leave_no_graph(toy_space):
    """Each costs a forward pass alone, and the memory is that of the arch that is trained."""
    sampling = SamplingConfig(archs=2, attentive="best", attentive_of=3)
    task, images, labels = make_task(toy_space, SupernetRecipe(sampling=sampling))
    forward, graphs = task.supernet.outputs, []

    def outputs(batch, arch):
        output = forward(batch, arch)
        graphs.append(output.embedding.requires_grad)
        return output

    task.supernet.outputs = outputs
    step_of(task, images, labels)
    assert graphs == [True, *2 * [False, False, False, True]]


def test_the_classifier_begins_as_that_of_other_trainings(toy_space):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own, other = SupernetTask(Supernet(toy_space), 500, SupernetRecipe(), seed=0).classifier, Classifier(16, 500)
    stds = [each.weight.detach().std() for each in (own, other)]
    assert float(stds[0]) == pytest.approx(float(stds[1]), rel=0.1)


def test_without_the_largest_arch_all_learn_from_labels_alone(toy_space):
    """And a step that has it is what it is where every step has it."""
    config = SupernetRecipe(sampling=SamplingConfig(archs=2, largest_every=2), label_weight=0.4)
    task, images, labels = make_task(toy_space, config)
    log, seen = step_of(task, images, labels, number=7)
    runs = [task.supernet.outputs(images, arch) for (arch,) in places_of(task, 7)]
    expected = []
    for run in runs:
        logits = run.embedding @ task.classifier.weight[:, : run.embedding.shape[1]].T
        loss = F.cross_entropy(logits, labels, label_smoothing=0.1) + batch_hard_triplet(run.feature, labels, 0.3).loss
        expected.append(float(loss.detach()))
    assert [float(each.detach()) for each in seen] == pytest.approx([each / 2 for each in expected], rel=1e-5)
    assert float(log["loss"]) == pytest.approx(expected[0], rel=1e-5) and "random_loss" not in log

    always = dataclasses.replace(config, sampling=SamplingConfig(archs=2))
    logs = [step_of(*make_task(toy_space, each), number=8)[0] for each in (config, always)]
    assert {name: float(value) for name, value in logs[0].items()} == {k: float(v) for k, v in logs[1].items()}
    assert "random_loss" in logs[0]


def test_embeddings_are_distilled_where_they_are_of_one_length(toy_space):
    space = dataclasses.replace(toy_space, embedding=6)
    plain = SupernetRecipe(sampling=SamplingConfig(archs=2))
    told = dataclasses.replace(plain, embedding_weight=2.0)
    losses = [step_of(*make_task(space, config))[1] for config in (plain, told)]
    task, images, _ = make_task(space, told)
    teacher, *students = [task.supernet.outputs(images, arch).embedding for (arch,) in places_of(task)]
    assert torch.equal(losses[0][0], losses[1][0])  # the teacher itself is told nothing
    for student, without, with_it in zip(students, losses[0][1:], losses[1][1:], strict=True):
        expected = 2.0 * (1 - F.cosine_similarity(student, teacher)).mean() / 3
        assert float((with_it - without).detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    with pytest.raises(UserError, match="embedding_weight: archs of this space have embeddings of different lengths"):
        make_task(toy_space, told)


def test_images_are_resized_for_archs_that_see_smaller_ones(plus_space):
    task, images, labels = make_task(plus_space, SupernetRecipe(sampling=SamplingConfig(archs=5)))
    sizes = {arch.input_size for (arch,) in places_of(task)}
    assert sizes == {(32, 24), (32, 16)}
    seen = []
    forward = task.supernet.outputs
    task.supernet.outputs = lambda batch, arch: (seen.append((batch.shape[2:], arch.input_size)), forward(batch, arch))[
        1
    ]
    step_of(task, images, labels)
    assert len(seen) == 6 and all(tuple(shape) == size for shape, size in seen)
    assert resize_prepared(images, (32, 24)) is images
    flat = torch.full((1, 3, 32, 24), 0.7)
    torch.testing.assert_close(resize_prepared(flat, (32, 16)), torch.full((1, 3, 32, 16), 0.7))


def test_largest_arch_warms_up_alone(toy_space):
    task, images, labels = make_task(toy_space, SupernetRecipe(sampling=SamplingConfig(archs=3, warmup_epochs=1)))
    log, seen = step_of(task, images, labels)
    assert len(seen) == 1 and float(seen[0].detach()) == pytest.approx(float(log["loss"]))
    assert "random_loss" not in log
    log, seen = step_of(task, images, labels, epoch=1.0)
    assert len(seen) == 4 and "random_loss" in log


@pytest.mark.parametrize(
    ("sampling", "epochs"),
    [
        ({"archs": 1, "largest_every": 0, "warmup_epochs": 2}, [3, 4]),
        ({"archs": 1, "largest_every": 4, "warmup_epochs": 2.5}, [3, 4]),  # it ends in the third
        ({"archs": 3, "warmup_epochs": 2}, []),  # the largest is logged before and after
        ({"archs": 1, "largest_every": 0}, []),
    ],
)
def test_where_another_arch_is_logged_the_loss_may_rise(toy_space, sampling, epochs):
    task, _, _ = make_task(toy_space, SupernetRecipe(sampling=SamplingConfig(**sampling)))
    assert [epoch for epoch in range(1, 9) if epoch in task.restless_epochs] == epochs


def test_under_autocast_head_and_classifier_are_in_single_precision(toy_space):
    task, images, labels = make_task(toy_space, SupernetRecipe())
    task.float()
    logits = []
    task.classifier.register_forward_hook(lambda _, given, logit: logits.extend((given[0].dtype, logit.dtype)))
    autocast = functools.partial(torch.autocast, "cpu", torch.bfloat16)
    task.backward(
        images.float(), labels, StepContext(7, 0.5, torch.Generator(), autocast, lambda loss: loss.backward())
    )
    assert logits and set(logits) == {torch.float32}
