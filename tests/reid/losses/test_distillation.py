"""Distillation losses against loops; the teacher learns nothing."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from reid.errors import UserError
from reid.losses.distillation import embedding_distillation, logit_distillation, similarity_distillation


def _random(rows: int, columns: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * 2


def _softmax(row: list[float]) -> list[float]:
    exponents = [math.exp(value) for value in row]
    return [value / sum(exponents) for value in exponents]


def _cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_logits(temperature):
    student, teacher = _random(5, 4, 0), _random(5, 4, 1)
    total = 0.0
    for row, other in zip((student / temperature).tolist(), (teacher / temperature).tolist(), strict=True):
        for q, p in zip(_softmax(row), _softmax(other), strict=True):
            total += p * math.log(p / q)
    got = float(logit_distillation(student, teacher, temperature))
    assert got == pytest.approx(temperature**2 * total / 5, rel=1e-5)
    if temperature == 1.0:  # which is what a supernet takes
        assert got == float(logit_distillation(student, teacher))


def test_logits_at_a_high_temperature():
    """Hinton et al. 2015, eq. 4: then half the mean squared difference of the centred logits."""
    student, teacher = (_random(6, 9, seed).double() for seed in (0, 1))
    centred = [each - each.mean(1, keepdim=True) for each in (student, teacher)]
    wanted = 0.5 * F.mse_loss(*centred)
    torch.testing.assert_close(logit_distillation(student, teacher, 1e4), wanted, rtol=1e-3, atol=0)


def test_embeddings():
    student, teacher = _random(5, 4, 4), _random(5, 4, 5)
    wanted = sum(1 - _cosine(a, b) for a, b in zip(student.tolist(), teacher.tolist(), strict=True)) / 5
    assert float(embedding_distillation(student, teacher)) == pytest.approx(wanted, rel=1e-5)
    difference = F.normalize(student, dim=1) - F.normalize(teacher, dim=1)
    torch.testing.assert_close(embedding_distillation(student, 3 * teacher), 0.5 * difference.square().sum(1).mean())


def test_embeddings_of_different_length_are_refused():
    with pytest.raises(UserError, match="of 3 and of 6 dimensions .* distillation.similarity"):
        embedding_distillation(_random(4, 3, 2), _random(4, 6, 3))


def test_similarities_of_vectors_of_different_length():
    student, teacher = _random(4, 3, 2), _random(4, 6, 3)
    total = 0.0
    for i in range(4):
        for j in range(4):
            mine = _cosine(student[i].tolist(), student[j].tolist())
            total += (mine - _cosine(teacher[i].tolist(), teacher[j].tolist())) ** 2
    assert float(similarity_distillation(student, teacher)) == pytest.approx(total / 16, rel=1e-4)


@pytest.mark.parametrize("loss", [logit_distillation, embedding_distillation, similarity_distillation])
def test_zero_for_equals_and_no_gradient_to_the_teacher(loss):
    student, teacher = _random(5, 4, 0).requires_grad_(), _random(5, 4, 1).requires_grad_()
    loss(student, teacher).backward()
    assert teacher.grad is None and float(student.grad.abs().sum()) > 0
    assert float(loss(teacher.detach(), teacher)) == pytest.approx(0.0, abs=1e-6)
    assert loss(student.bfloat16(), teacher.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("loss", [logit_distillation, embedding_distillation, similarity_distillation])
def test_gradient_is_the_derivative(loss):
    student, teacher = _random(5, 4, 0).double().requires_grad_(), _random(5, 4, 1).double()
    assert torch.autograd.gradcheck(lambda x: loss(x, teacher), student)
