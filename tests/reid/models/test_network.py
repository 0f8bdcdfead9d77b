"""The whole network: a backbone, the default head, a classifier."""

from __future__ import annotations

import pytest
import torch

from reid.models.backbones import build_backbone
from reid.models.heads import BNNeckHead, Classifier, HeadConfig, build_head
from reid.models.network import ReidNetwork


def test_head_is_pooling_then_batch_norm():
    head = BNNeckHead(5).train()
    maps = torch.randn(6, 5, 4, 3, generator=torch.Generator().manual_seed(0))
    feature, embedding, _ = head(maps)
    mean = maps.mean((2, 3))
    torch.testing.assert_close(feature, mean)
    wanted = (mean - mean.mean(0)) / (mean.var(0, unbiased=False) + head.neck.eps).sqrt()
    torch.testing.assert_close(embedding, wanted, rtol=1e-4, atol=1e-5)


def test_neck_has_a_frozen_shift_and_a_trained_scale():
    head = BNNeckHead(5, embedding=3)
    assert {name: p.requires_grad for name, p in head.named_parameters()} == {
        "embed.weight": True,
        "neck.weight": True,
        "neck.bias": False,
    }
    assert torch.equal(head.neck.bias, torch.zeros(3)) and head.dim == 3


def test_network_compares_persons_by_the_embedding():
    network = ReidNetwork(build_backbone("resnet18"), build_head(HeadConfig(), 512)).eval()
    network.head.neck.running_mean.fill_(0.5)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        output = network.outputs(images)
        torch.testing.assert_close(network(images), output.embedding)
    assert not torch.allclose(output.embedding, output.feature)


def test_classifier_starts_flat_and_has_no_bias():
    classifier = Classifier(256, 700)
    assert classifier.bias is None and classifier.weight.shape == (700, 256)
    assert float(classifier.weight.detach().std()) == pytest.approx(0.001, rel=0.02)


def test_under_autocast_the_head_is_in_single_precision():
    """Images that are 0.05 apart at a norm of 20: in bf16 rounding would be as much as what tells them apart."""
    generator = torch.Generator().manual_seed(0)
    maps = 1 + 0.002 * torch.randn(16, 400, 4, 2, generator=generator)
    head = build_head(HeadConfig(embedding=32), 400).train()
    network = ReidNetwork(torch.nn.Conv2d(400, 400, 1, bias=False), head)
    torch.nn.init.dirac_(network.backbone.weight)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        output = network.outputs(maps)
    assert {part.dtype for part in (output.feature, output.embedding, *output.parts)} == {torch.float32}
    with torch.no_grad():
        wanted = head(maps.bfloat16().float())
    torch.testing.assert_close(output.embedding, wanted.embedding)
