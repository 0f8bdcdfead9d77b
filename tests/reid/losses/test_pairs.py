"""Distances, masks and masked means against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reid.losses.pairs import masked_mean, pair_masks, pairwise_euclidean


def test_masks_by_hand():
    positives, negatives = pair_masks(torch.tensor([7, 3, 7]))
    assert positives.tolist() == [[False, False, True], [False, False, False], [True, False, False]]
    assert negatives.tolist() == [[False, True, False], [True, False, True], [False, True, False]]
    assert all(mask.is_meta for mask in pair_masks(torch.tensor([7, 3, 7], device="meta")))  # where the labels lie


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e2])
def test_distances_against_numpy(scale):
    generator = torch.Generator().manual_seed(3)
    features, others = (torch.randn(n, 16, generator=generator) * scale for n in (9, 5))
    wanted = np.linalg.norm(features.numpy()[:, None] - others.numpy()[None], axis=2)
    np.testing.assert_allclose(pairwise_euclidean(features, others).numpy(), wanted, rtol=1e-4)
    wanted = np.linalg.norm(features.numpy()[:, None] - features.numpy()[None], axis=2)
    got = pairwise_euclidean(features).numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=5e-3 * scale)


def test_the_same_features_have_no_gradient_and_a_finite_one():
    features = torch.tensor([[1.0, 2.0], [1.0, 2.0], [4.0, 6.0]], requires_grad=True)
    distances = pairwise_euclidean(features)
    torch.testing.assert_close(distances.detach(), torch.tensor([[1e-6, 1e-6, 5], [1e-6, 1e-6, 5], [5, 5, 1e-6]]))
    distances[0, 1].backward()
    assert not features.grad.any()


def test_masked_mean():
    values = torch.tensor([1.0, float("inf"), 4.0], requires_grad=True)
    mean = masked_mean(values, torch.tensor([True, False, True]))
    mean.backward()
    assert float(mean.detach()) == 2.5
    assert values.grad.tolist() == [0.5, 0.0, 0.5]
    assert float(masked_mean(values, torch.tensor([False, False, True])).detach()) == 4.0
    assert float(masked_mean(values, torch.zeros(3, dtype=torch.bool)).detach()) == 0.0
