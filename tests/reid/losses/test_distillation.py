"""Distillation losses against loops; the teacher learns nothing."""

from __future__ import annotations

import math

import pytest
import torch

from reid.losses.distillation import logit_distillation, similarity_distillation


def _random(rows: int, columns: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * 2


def _softmax(row: list[float]) -> list[float]:
    exponents = [math.exp(value) for value in row]
    return [value / sum(exponents) for value in exponents]


def test_logits():
    student, teacher = _random(5, 4, 0), _random(5, 4, 1)
    total = 0.0
    for row, other in zip(student.tolist(), teacher.tolist(), strict=True):
        for q, p in zip(_softmax(row), _softmax(other), strict=True):
            total += p * math.log(p / q)
    assert float(logit_distillation(student, teacher)) == pytest.approx(total / 5, rel=1e-5)


def test_similarities_of_vectors_of_different_length():
    student, teacher = _random(4, 3, 2), _random(4, 6, 3)

    def cosine(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))

    total = 0.0
    for i in range(4):
        for j in range(4):
            mine = cosine(student[i].tolist(), student[j].tolist())
            total += (mine - cosine(teacher[i].tolist(), teacher[j].tolist())) ** 2
    assert float(similarity_distillation(student, teacher)) == pytest.approx(total / 16, rel=1e-4)


@pytest.mark.parametrize("loss", [logit_distillation, similarity_distillation])
def test_zero_for_equals_and_no_gradient_to_the_teacher(loss):
    student, teacher = _random(5, 4, 0).requires_grad_(), _random(5, 4, 1).requires_grad_()
    loss(student, teacher).backward()
    assert teacher.grad is None and float(student.grad.abs().sum()) > 0
    assert float(loss(teacher.detach(), teacher)) == pytest.approx(0.0, abs=1e-7)
    assert loss(student.bfloat16(), teacher.bfloat16()).dtype == torch.float32
