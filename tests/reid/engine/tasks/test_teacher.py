"""What a teacher says, and what is refused before the training."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reid.engine.machine.device import autocast
from reid.engine.tasks.teacher import Ensemble, Teacher, check_teacher, distillation_losses
from reid.errors import UserError
from reid.losses.config import DistillationConfig
from reid.losses.distillation import embedding_distillation, logit_distillation, similarity_distillation
from reid.models.classifiers import Classifier
from supernet.files import arch_from_rows
from supernet.network import build_network

ARCH = arch_from_rows(((1, 4, 1, 1), (2, 8, 1, 2)), input_size=(32, 16), stem=4, last_width=12)
ALL = DistillationConfig(teacher="a/run", logits=0.5, temperature=3.0, embedding=0.7, similarity=2.0)


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher(build_network(ARCH).eval(), (Classifier(12, 5),))


@pytest.mark.parametrize("weights", [(0.5, 0, 0), (0, 0.7, 0), (0, 0, 2.0), (0.5, 0.7, 2.0)])
def test_weighted_sum(weights):
    """The classifiers of both have 5 classes; only the embeddings that are compared one by one must be of a length."""
    generator = torch.Generator().manual_seed(0)
    own, logits, theirs, told = (torch.randn(6, d, generator=generator) for d in (12, 5, 12, 5))
    config = replace(ALL, **dict(zip(("logits", "embedding", "similarity"), weights, strict=True)))
    wanted = (
        weights[0] * logit_distillation(logits, told, 3.0)
        + weights[1] * embedding_distillation(own, theirs)
        + weights[2] * similarity_distillation(own, theirs)
    )
    got = distillation_losses(own, logits, theirs, told if weights[0] else None, config)
    torch.testing.assert_close(got, wanted)
    assert got > 0


def test_no_gradient_and_no_logits_without_a_classifier(teacher):
    images = torch.randn(3, 3, 32, 16)
    embedding, logits = teacher(images, contextlib.nullcontext)
    assert embedding.shape == (3, 12) and logits.shape == (3, 5)
    assert not embedding.requires_grad and not logits.requires_grad
    silent, none = replace(teacher, classifiers=())(images, contextlib.nullcontext)
    assert none is None and torch.equal(silent, embedding)


def test_runs_in_the_students_precision(teacher):
    def half():
        return autocast(torch.device("cpu"), "bf16")

    images = torch.randn(3, 3, 32, 16)
    maps = []
    teacher.network.backbone.register_forward_hook(lambda *called: maps.append(called[-1]))
    embedding, logits = teacher(images, half)
    assert maps[0].dtype == torch.bfloat16
    assert embedding.dtype == logits.dtype == torch.float32  # as the student's


@pytest.mark.parametrize(
    ("config", "change", "classes", "dim", "message"),
    [
        (ALL, {"classifiers": ()}, 5, 12, "a/run: has no classifier.safetensors .*logits=0, or train one"),
        (ALL, {}, 6, 12, "a/run: was trained on 5 identities, the student on 6"),
        (
            ALL,
            {},
            5,
            8,
            "a/run: its embedding has 12 numbers, but the student's has 8; use losses.distillation.similarity",
        ),
    ],
)
def test_what_cannot_be_distilled(teacher, config, change, classes, dim, message):
    with pytest.raises(UserError, match=message) as caught:
        check_teacher(config, replace(teacher, **change), classes, dim)
    assert "\n" not in str(caught.value)


def test_what_is_not_asked_for_may_differ(teacher):
    similarity = replace(ALL, logits=0.0, embedding=0.0)
    check_teacher(similarity, replace(teacher, classifiers=()), classes=9, dim=8)
    check_teacher(replace(ALL, embedding=0.0), teacher, classes=5, dim=8)
    check_teacher(replace(ALL, logits=0.0), replace(teacher, classifiers=(nn.Identity(),)), classes=9, dim=12)
    check_teacher(ALL, teacher, classes=5, dim=12)


def test_several_teach_the_mean_of_their_cosines_and_of_their_logits(teacher):
    other = arch_from_rows(((1, 4, 1, 1), (2, 8, 1, 2)), input_size=(32, 16), stem=4, last_width=7)  # another length
    both = (teacher, Teacher(build_network(other).eval(), (Classifier(7, 5),)))
    images = torch.randn(4, 3, 32, 16)
    embedding, logits = Ensemble(both)(images, contextlib.nullcontext)
    told = [each(images, contextlib.nullcontext) for each in both]
    cosines = [F.normalize(vectors) @ F.normalize(vectors).T for vectors, _ in told]
    joined = F.normalize(embedding)
    torch.testing.assert_close(joined @ joined.T, (cosines[0] + cosines[1]) / 2)
    torch.testing.assert_close(logits, (told[0][1] + told[1][1]) / 2)
    assert not embedding.requires_grad and not logits.requires_grad
    silent = Ensemble((both[0], replace(both[1], classifiers=())))
    assert silent(images, contextlib.nullcontext)[1] is None
    assert copy.deepcopy(silent) is silent


def test_of_several_the_one_is_named_that_cannot_teach(teacher):
    config = replace(ALL, teacher=("a/run", "b/run"), embedding=0.0)
    check_teacher(config, Ensemble((teacher, teacher)), classes=5, dim=8)
    with pytest.raises(UserError, match="teacher b/run: has no classifier.safetensors"):
        check_teacher(config, Ensemble((teacher, replace(teacher, classifiers=()))), classes=5, dim=12)
