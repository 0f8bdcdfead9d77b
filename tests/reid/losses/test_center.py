"""Center loss against a loop, the bag of tricks' code and the updates that follow from it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.losses.center import CenterLoss


def _loss_of(centers: torch.Tensor) -> CenterLoss:
    loss = CenterLoss(*centers.shape).to(centers.dtype)
    loss.centers.data.copy_(centers)
    return loss


VECTORS = st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=2)


@given(
    st.lists(st.tuples(VECTORS, st.integers(0, 3)), min_size=1, max_size=8), st.lists(VECTORS, min_size=4, max_size=4)
)
@settings(max_examples=100, deadline=None)
def test_against_a_loop(batch, centers):
    features, labels = zip(*batch, strict=True)
    total = 0.0
    for row, label in batch:
        total += sum((x - c) ** 2 for x, c in zip(row, centers[label], strict=True))
    loss = _loss_of(torch.tensor(centers))(torch.tensor(features), torch.tensor(labels))
    assert float(loss.detach()) == pytest.approx(total / len(batch))


def test_as_published():
    """The bag of tricks' matrix of all distances, masked and clamped; and twice Wen et al.'s half sum over N."""
    generator = torch.Generator().manual_seed(0)
    features, centers = torch.randn(8, 6, generator=generator), torch.randn(20, 6, generator=generator)
    labels = torch.tensor([3, 3, 3, 3, 17, 17, 0, 1])
    loss = _loss_of(centers)(features, labels).detach()
    matrix = features.square().sum(1)[:, None] + centers.square().sum(1)[None] - 2 * features @ centers.T
    mask = labels[:, None] == torch.arange(20)
    torch.testing.assert_close(loss, (matrix * mask).clamp(1e-12, 1e12).sum() / 8, rtol=1e-5, atol=1e-5)
    wen = 0.5 * (features - centers[labels]).norm(dim=1).square().sum()
    torch.testing.assert_close(loss, 2 * wen / 8)


def test_a_step_of_the_centers_by_hand():
    """Rate 0.5: a center moves by 2/N times 0.5 times the sum of the offsets."""
    loss = _loss_of(torch.tensor([[0.0], [10.0], [5.0]]))
    features = torch.tensor([[1.0], [3.0], [10.0], [12.0]])
    loss.follow(features.requires_grad_(), torch.tensor([0, 0, 1, 1]), rate=0.5)
    torch.testing.assert_close(loss.centers, torch.tensor([[1.0], [10.5], [5.0]]))
    assert not loss.centers.requires_grad  # or the graphs of all steps would be kept


def test_centers_follow_the_gradient_as_the_bag_of_tricks_has_it():
    """There the centers are parameters of an SGD of their own, and the loss's weight is divided out of the gradient."""
    generator = torch.Generator().manual_seed(0)
    features, centers = torch.randn(9, 4, generator=generator), torch.randn(5, 4, generator=generator)
    labels = torch.tensor([0, 0, 0, 1, 1, 4, 4, 4, 4])
    parameter = centers.clone().requires_grad_()
    (5e-4 * (features - parameter[labels]).square().sum(1).mean()).backward()
    parameter.grad /= 5e-4
    torch.optim.SGD([parameter], lr=0.5).step()
    loss = _loss_of(centers)
    loss.follow(features, labels, rate=0.5)
    torch.testing.assert_close(loss.centers, parameter.detach())


@pytest.mark.parametrize("features", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("centers", [torch.float32, torch.float64])
def test_centers_follow_features_of_any_precision_in_their_own(features, centers):
    offsets = torch.tensor([[1.0, -2.0], [3.0, 0.5], [0.0, 4.0]], dtype=features)  # exact in all of them
    loss = _loss_of(torch.zeros(2, 2, dtype=centers))
    with torch.autocast("cpu", torch.bfloat16):
        loss.follow(offsets, torch.tensor([0, 0, 1]), rate=0.75)
    torch.testing.assert_close(loss.centers, torch.tensor([[2.0, -0.75], [0.0, 2.0]], dtype=centers))


def test_gradient_is_the_derivative():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(5, 3, generator=generator).double().requires_grad_()
    loss = CenterLoss(4, 3).double()
    assert torch.autograd.gradcheck(lambda x: loss(x, torch.tensor([0, 0, 1, 3, 3])), (features,))


def test_centers_are_a_buffer_and_follow_the_seed():
    first, second = (torch.manual_seed(3) and CenterLoss(50, 40) for _ in range(2))
    assert not list(first.parameters()) and list(first.state_dict()) == ["centers"]
    assert first.centers.shape == (50, 40) and first.centers.equal(second.centers)
    assert float(first.centers.std()) == pytest.approx(1.0, abs=0.05)
