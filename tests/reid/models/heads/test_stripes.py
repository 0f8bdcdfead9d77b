"""PCB: stripes against slices by hand, and what retrieval by the global branch alone leaves out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from reid.errors import UserError
from reid.models.heads import HeadConfig, PartHead, PartsConfig, SpectralConfig, build_head
from reid.models.heads.stripes import stripe_bounds


def _perturb(head: nn.Module) -> nn.Module:
    """BN parameters and statistics that are no identity, so that a missing or shared one shows."""
    for layer in head.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.weight.data.uniform_(0.5, 1.5)
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 1.5)
    return head.eval()


def _bn(layer: nn.BatchNorm1d, x: torch.Tensor) -> torch.Tensor:
    return (x - layer.running_mean) / (layer.running_var + layer.eps).sqrt() * layer.weight + layer.bias


@given(st.integers(2, 8), st.integers(0, 20))
def test_bounds_are_those_of_adaptive_pooling(stripes, extra):
    height = stripes + extra
    rows = torch.randn(1, 1, height, 3, generator=torch.Generator().manual_seed(height))
    means = [float(rows[:, :, top:bottom].mean()) for top, bottom in stripe_bounds(height, stripes)]
    torch.testing.assert_close(torch.tensor(means), F.adaptive_avg_pool2d(rows, (stripes, 1)).flatten())


def test_bounds_of_24_rows():
    """384x128 images, stride 16: PCB's own case, six stripes of four rows."""
    assert stripe_bounds(24, 6) == [(0, 4), (4, 8), (8, 12), (12, 16), (16, 20), (20, 24)]


def test_stripes_by_hand(maps):
    head = _perturb(build_head(HeadConfig(parts=PartsConfig(stripes=4, embedding=3, global_branch=False)), 6))
    output = head(maps)
    features = [maps[:, :, 2 * i : 2 * i + 2].mean((2, 3)) @ head.stripes[i].embed.weight.T for i in range(4)]
    vectors = [_bn(head.stripes[i].neck, feature) for i, feature in enumerate(features)]
    torch.testing.assert_close(output.feature, torch.cat(features, 1))
    torch.testing.assert_close(output.embedding, torch.cat(vectors, 1))
    assert len(output.parts) == 4 and head.metric_dim == head.dim == 4 * 3
    for part, vector in zip(output.parts, vectors, strict=True):
        torch.testing.assert_close(part, vector)


def test_what_belongs_to_the_global_branch_is_not_the_stripes(maps):
    parts = PartsConfig(stripes=2, embedding=3, neck="none")
    head = _perturb(build_head(HeadConfig(embedding=5, neck="bn", relu=True, mask=True, parts=parts), 6))
    for stripe in head.stripes:
        stripe.embed.weight.data.normal_(generator=torch.Generator().manual_seed(1))
    output = head(maps)
    assert head.whole.mask is not None and bool((output.parts[0] >= 0).all())
    features = [maps[:, :, 4 * i : 4 * i + 4].mean((2, 3)) @ head.stripes[i].embed.weight.T for i in range(2)]
    for part, feature in zip(output.parts[1:], features, strict=True):  # neither gated nor cut off, and without a BN
        torch.testing.assert_close(part, feature)
        assert bool((feature < 0).any())
    assert output.feature.shape == (5, head.metric_dim) and head.metric_dim == 5


def test_global_branch_stands_first_and_is_a_plain_head(maps):
    config = HeadConfig(pool="max", embedding=5, parts=PartsConfig(stripes=4, embedding=3))
    head = _perturb(build_head(config, 6))
    plain = build_head(replace(config, parts=None), 6).eval()
    plain.load_state_dict(head.whole.state_dict())
    output, wanted = head(maps), plain(maps)
    torch.testing.assert_close(output.feature, wanted.feature)
    torch.testing.assert_close(output.parts[0], wanted.embedding)
    torch.testing.assert_close(output.embedding, torch.cat(output.parts, 1))
    assert head.dim == 5 + 4 * 3 and head.part_dims == (5, 3, 3, 3, 3) and head.part_classifiers == (0, 1, 2, 3, 4)


def test_mask_gates_the_stripes_by_the_whole_map(maps):
    config = HeadConfig(parts=PartsConfig(stripes=2, embedding=3, mask=True, global_branch=False))
    head = _perturb(build_head(config, 6))
    gates = torch.sigmoid(_bn(head.mask.bn, maps.mean((2, 3)) @ head.mask.fc.weight.T))
    vectors = [
        _bn(stripe.neck, maps[:, :, 4 * i : 4 * i + 4].mean((2, 3)) @ stripe.embed.weight.T)
        for i, stripe in enumerate(head.stripes)
    ]
    torch.testing.assert_close(head(maps).embedding, torch.cat(vectors, 1) * gates)


@pytest.mark.parametrize("global_branch", [True, False])
def test_the_rule_says_whether_a_branch_sees_the_whole_map(global_branch):
    assert build_head(HeadConfig(parts=PartsConfig(global_branch=global_branch)), 6).rule.whole == global_branch


def test_normalised_branches_count_equally(maps):
    head = _perturb(build_head(HeadConfig(normalize=True, parts=PartsConfig(stripes=4, embedding=3)), 6))
    output = head(maps)
    torch.testing.assert_close(output.embedding.norm(dim=1), torch.ones(5))
    for piece, part in zip(output.embedding.split([6, 3, 3, 3, 3], 1), output.parts, strict=True):
        torch.testing.assert_close(piece, F.normalize(part) / 5**0.5)


def test_dropout_before_the_stripes_spares_the_global_branch():
    parts = PartsConfig(stripes=2, embedding=3, dropout=0.5)
    head = build_head(HeadConfig(neck="none", parts=replace(parts, neck="none")), 6)
    maps = torch.ones(5, 6, 8, 4)
    kept, dropped = head.eval()(maps), head.train()(maps)
    torch.testing.assert_close(kept.parts[0], dropped.parts[0])
    assert not torch.allclose(kept.parts[1], dropped.parts[1])


@pytest.mark.parametrize("retrieve", ["all", "global"])
def test_training_classifies_all_and_spectral_shares_the_global_classifier(maps, retrieve):
    parts = PartsConfig(stripes=2, embedding=3, retrieve=retrieve, update="max_loss")
    head = build_head(HeadConfig(parts=parts, spectral=SpectralConfig(weight=0.25)), 6).train()
    output = head(maps)
    assert head.part_dims == tuple(part.shape[1] for part in output.parts) == (6, 3, 3, 6)
    assert head.part_classifiers == (0, 1, 2, 0) and head.rule.extras == (0.25,)
    assert head.rule.update == "max_loss"
    assert output.embedding.shape == (5, head.dim) and head.dim == {"all": 12, "global": 6}[retrieve]


def test_retrieval_by_the_global_branch_pays_nothing_for_the_stripes(maps):
    config = HeadConfig(embedding=5, normalize=True, parts=PartsConfig(stripes=4, embedding=3, retrieve="global"))
    head = _perturb(build_head(config, 6))
    for stripe in head.stripes:  # they must not even be called
        stripe.forward = None
    shipped = head.inference_head()
    output, wanted = head(maps), shipped(maps)
    assert torch.equal(output.embedding, wanted.embedding) and output.embedding.shape == (5, head.dim)
    plain = build_head(replace(config, parts=None), 6).eval()
    assert {name: tensor.shape for name, tensor in shipped.state_dict().items()} == {
        name: tensor.shape for name, tensor in plain.state_dict().items()
    }
    assert torch.equal(head(maps[:, :, :2]).embedding, shipped(maps[:, :, :2]).embedding)  # too low for 4 stripes


def test_other_heads_ship_as_they_are():
    for config in (HeadConfig(), HeadConfig(parts=PartsConfig())):
        head = build_head(config, 6)
        assert head.inference_head() is head
    assert isinstance(head, PartHead)


def test_too_few_rows_for_the_stripes():
    head = build_head(HeadConfig(parts=PartsConfig()), 6).eval()
    with pytest.raises(
        UserError, match="a feature map of 4 rows cannot be divided into 6 stripes; use fewer stripes, taller images"
    ):
        head(torch.ones(2, 6, 4, 2))
    assert head(torch.ones(2, 6, 6, 2)).embedding.shape == (2, 6 + 6 * 256)
