"""Sandwich rule and the supernet's training step, each against the formula."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch.nn import functional as F

from reid.engine.recipe import Recipe
from reid.engine.task import StepContext
from reid.losses.config import LossConfig
from reid.losses.triplet import batch_hard_triplet
from supernet.files import load_space
from supernet.sampling import SamplingConfig, sandwich, uniform
from supernet.supernet import Supernet
from supernet.training import SupernetRecipe, SupernetTask

TINY = load_space("tiny")


def test_training_step_is_the_sum_over_the_archs(toy_space):
    """One graph of everything at once gives the gradient that the step adds up arch by arch."""
    losses = LossConfig(classification={"weight": 0.7, "smoothing": 0.1}, triplet={"weight": 1.3, "margin": 0.3})
    config = SupernetRecipe(
        Recipe(losses=losses),
        sampling=SamplingConfig(archs=2),
        label_weight=0.4,
        logit_weight=0.9,
        similarity_weight=3.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        task = SupernetTask(Supernet(toy_space), 5, config, seed=4).double()
        images = torch.randn(10, 3, *toy_space.input_size).double()
    task.classifier.weight.data *= 300  # so that logits matter
    labels = torch.arange(5).repeat_interleave(2)

    seen = []
    context = StepContext(
        7, 0.5, torch.Generator(), contextlib.nullcontext, lambda loss: (seen.append(loss), loss.backward())
    )
    log = task.backward(images, labels, context)
    got = {name: p.grad.clone() for name, p in task.named_parameters() if p.grad is not None}
    assert len(seen) == 4

    task.zero_grad()
    archs = [arch for (arch,) in sandwich(toy_space, config.sampling, uniform(toy_space), 4, 7, 0.5)]
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
