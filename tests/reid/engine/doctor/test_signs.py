from __future__ import annotations

import math

import pytest
import torch

from reid.engine.doctor import embedding_signs

LABELS = torch.arange(16).repeat_interleave(4)


def features(seed: int = 0) -> torch.Tensor:
    return torch.randn(64, 32, generator=torch.Generator().manual_seed(seed))


def test_against_plain_loops():
    values = features().double() * 3 + 1
    signs = embedding_signs(values.float(), LABELS)
    unit = [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in values.tolist()]
    deviations = []
    for column in zip(*unit, strict=True):
        mean = sum(column) / len(column)
        deviations.append(math.sqrt(sum((x - mean) ** 2 for x in column) / len(column)))
    assert float(signs["embedding_spread"]) == pytest.approx(sum(deviations) / 32 * math.sqrt(32), rel=1e-5)
    norms = [math.sqrt(sum(x * x for x in row)) for row in values.tolist()]
    assert float(signs["feature_norm"]) == pytest.approx(sum(norms) / 64, rel=1e-5)
    center, between = values.mean(0), 0.0
    for label in LABELS.unique():
        group = values[label == LABELS]
        between += len(group) * float((group.mean(0) - center).square().sum())
    assert float(signs["identity_variance"]) == pytest.approx(
        between / float((values - center).square().sum()), rel=1e-5
    )


def test_the_ends_of_the_scales():
    generator = torch.Generator().manual_seed(0)
    isotropic = torch.randn(20_000, 16, generator=generator)
    assert float(embedding_signs(isotropic[:4096], torch.arange(1024).repeat(4))["embedding_spread"]) == pytest.approx(
        1.0, abs=0.01
    )
    same = embedding_signs(torch.ones(8, 5) * 7, torch.arange(4).repeat(2))
    assert [float(same[key]) for key in ("embedding_spread", "identity_variance")] == [0.0, 0.0]
    points = torch.eye(4).repeat_interleave(3, 0)
    assert float(embedding_signs(points, torch.arange(4).repeat_interleave(3))["identity_variance"]) == pytest.approx(1)


def test_identity_variance_of_features_that_know_nothing():
    """Mean over many random batches against (P - 1) / (P K - 1)."""
    values = [float(embedding_signs(features(seed), LABELS)["identity_variance"]) for seed in range(100)]
    assert sum(values) / 100 == pytest.approx(15 / 63, abs=0.005)


def test_identity_variance_ignores_scale_and_a_common_vector():
    moved = 0.01 * features() + torch.linspace(-1, 1, 32)
    first, second = embedding_signs(features(), LABELS), embedding_signs(moved, LABELS)
    assert float(first["identity_variance"]) == pytest.approx(float(second["identity_variance"]), rel=1e-3)
    assert second["embedding_spread"] < 0.1 * first["embedding_spread"]


def test_scalars_without_gradient():
    signs = embedding_signs(features().requires_grad_().half(), LABELS)
    assert all(value.ndim == 0 and not value.requires_grad and value.dtype == torch.float32 for value in signs.values())
