"""Every loss is computed in float32, whatever it is given and wherever it is called."""

from __future__ import annotations

import pytest
import torch

from reid.losses.angular import am_softmax_logits, circle_softmax_logits
from reid.losses.center import CenterLoss
from reid.losses.centroid import centroid_triplet_loss
from reid.losses.circle import circle_loss
from reid.losses.config import TripletConfig
from reid.losses.cross_entropy import smoothed_cross_entropy
from reid.losses.distillation import embedding_distillation, logit_distillation, similarity_distillation
from reid.losses.triplet import batch_hard_triplet, triplet_loss
from reid.precision import full_precision

LABELS = torch.arange(12) // 3


def _triplet(selection: str, normalize: bool = False):
    def loss(features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        config = TripletConfig(selection=selection, normalize=normalize, margin=2.0)
        return triplet_loss(features, labels, config, torch.Generator().manual_seed(0)).loss

    return loss


CENTER = CenterLoss(4, 40)

# `x / 8`, as cosines, is exact in bfloat16 too.
LOSSES = {
    "cross_entropy": lambda x, labels: smoothed_cross_entropy(x, labels, 0.1, "others"),
    "am_softmax": lambda x, labels: am_softmax_logits(x / 8, labels, 30.0, 0.35).sum(),
    "circle_softmax": lambda x, labels: circle_softmax_logits(x / 8, labels, 30.0, 0.35).sum(),
    "batch_hard": lambda x, labels: batch_hard_triplet(x, labels, 0.3).loss,
    "batch_hard_normalized": _triplet("batch_hard", normalize=True),
    "semi_hard": _triplet("semi_hard"),
    "random_negative": _triplet("random_negative"),
    "circle": lambda x, labels: circle_loss(x, labels, 0.25, 64.0),
    "center": lambda x, labels: CENTER.to(x.device)(x, labels),
    "centroid": lambda x, labels: centroid_triplet_loss(x, labels, 0.3),
    "logits": lambda x, labels: logit_distillation(x, x.flip(0), 2.0),
    "embedding": lambda x, labels: embedding_distillation(x, x.flip(0)),
    "similarity": lambda x, labels: similarity_distillation(x, x.flip(0)),
}


@pytest.fixture
def features() -> torch.Tensor:
    # Representable in bfloat16, so that casting the input itself loses nothing.
    return (torch.randn(12, 40, generator=torch.Generator().manual_seed(0)) * 2).bfloat16().float()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_same_under_autocast_and_of_half_precision(name, dtype, features):
    wanted = LOSSES[name](features, LABELS)
    with torch.autocast("cpu", torch.bfloat16):
        assert (features @ features.T).dtype == torch.bfloat16  # autocast is on
        loss = LOSSES[name](features.to(dtype), LABELS)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_reaches_half_precision_features(name, features):
    features = features.bfloat16().requires_grad_()
    LOSSES[name](features, LABELS).backward()
    assert features.grad.dtype == torch.bfloat16
    assert features.grad.isfinite().all() and features.grad.any()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("same", [0.0, 0.5])
def test_collapsed_features_have_a_finite_loss_and_gradient(name, same):
    features = torch.full((12, 40), same, requires_grad=True)
    loss = LOSSES[name](features, LABELS)
    loss.backward()
    assert loss.isfinite() and features.grad.isfinite().all()


def test_float64_is_not_narrowed():
    @full_precision
    def double(a, b):
        return a.dtype, b.dtype

    assert double(torch.zeros(1).double(), b=torch.zeros(1).half()) == (torch.float64, torch.float32)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", LOSSES)
def test_no_loss_waits_for_the_gpu(name, features):
    wanted = LOSSES[name](features, LABELS)
    on_gpu, labels = features.cuda().requires_grad_(), LABELS.cuda()
    LOSSES[name](on_gpu, labels).backward()  # the first call of a kernel may wait
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss = LOSSES[name](on_gpu, labels)
        loss.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
        CENTER.cpu()
    torch.testing.assert_close(loss.detach().cpu(), wanted.detach(), rtol=1e-4, atol=1e-5)
