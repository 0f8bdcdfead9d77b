"""Spectral feature transformation against a plain loop, its limits and what a BN makes of it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from reid.models.heads import HeadConfig, SpectralConfig, build_head
from reid.models.heads.spectral import spectral_transform, transition_matrix


def _random(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


@pytest.mark.parametrize("temperature", [0.02, 0.1, 1.0])
def test_loop(temperature):
    features, vectors = _random(7, 4), _random(7, 3, 1)
    wanted = []
    for one in features.tolist():
        weights = [math.exp(_cosine(one, other) / temperature) for other in features.tolist()]
        columns = zip(*vectors.tolist(), strict=True)
        wanted.append([sum(w * x for w, x in zip(weights, column, strict=True)) / sum(weights) for column in columns])
    transformed = spectral_transform(vectors, features, temperature)
    torch.testing.assert_close(transformed, torch.tensor(wanted, dtype=torch.float64), rtol=1e-10, atol=1e-12)


def test_two_vectors_by_hand():
    """Cosine 0: weights e^(1/t) and e^0; with t = 1 / log 3 they are 3/4 and 1/4."""
    transition = transition_matrix(torch.tensor([[2.0, 0.0], [0.0, 5.0]]), 1 / math.log(3))
    torch.testing.assert_close(transition, torch.tensor([[0.75, 0.25], [0.25, 0.75]]))


def test_limits_of_the_temperature():
    features = _random(6, 4)
    torch.testing.assert_close(spectral_transform(features, features, 1e-4), features)
    mean = features.mean(0).expand_as(features)
    torch.testing.assert_close(spectral_transform(features, features, 1e6), mean, rtol=1e-5, atol=1e-5)


def test_transform_of_a_norm_is_the_norm_of_the_transform():
    """With the statistics of the untransformed features, as documented."""
    features = _random(8, 5)
    norm = nn.BatchNorm1d(5).double().train()
    norm.weight.data.uniform_(0.5, 1.5)
    transformed = spectral_transform(features, features, 0.1)
    wanted = (transformed - features.mean(0)) / (features.var(0, unbiased=False) + norm.eps).sqrt() * norm.weight
    torch.testing.assert_close(spectral_transform(norm(features), features, 0.1), wanted)


def test_float32_under_autocast():
    features = _random(16, 32).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        transition = transition_matrix(features, 0.1)
        assert spectral_transform(features, features, 0.1).dtype == torch.float32
    torch.testing.assert_close(transition, transition_matrix(features.float(), 0.1))


def test_head_classifies_the_transformed_vectors_too(maps):
    head = build_head(HeadConfig(embedding=4, spectral=SpectralConfig(temperature=0.2, weight=0.5)), 6).train()
    output = head(maps)
    assert head.part_classifiers == (0, 0) and head.rule.extras == (0.5,) and head.part_dims == (4, 4)
    torch.testing.assert_close(output.parts[0], output.embedding)
    torch.testing.assert_close(output.parts[1], spectral_transform(output.embedding, output.feature, 0.2))
    output.parts[1].square().sum().backward()
    assert float(head.embed.weight.grad.abs().sum()) > 0
    assert len(head.eval()(maps).parts) == 1
