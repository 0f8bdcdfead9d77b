"""Heads and ResNet baselines against torchvision and by their definitions."""

from __future__ import annotations

import pytest
import torch
import torchvision

from reid.errors import UserError
from reid.models.heads import BNNeckHead, Classifier
from reid.models.network import count_parameters
from reid.models.resnet import RESNETS, build_resnet

DIMS = {"resnet18": 512, "resnet34": 512, "resnet50": 2048}


@pytest.mark.parametrize("name", sorted(DIMS))
def test_resnet_parameters_are_torchvisions_less_the_classifier(name):
    network = build_resnet(name)
    trunk = getattr(torchvision.models, name)(weights=None)
    wanted = count_parameters(trunk) - count_parameters(trunk.fc)
    assert count_parameters(network.backbone) == wanted
    assert network.feature_dim == DIMS[name]
    assert count_parameters(network) == wanted + 2 * DIMS[name]  # the BNNeck's scale and (frozen) shift


def test_resnet_counts_that_are_published():
    """11.69M, 21.80M and 25.56M with the classifier of 1000 classes (He et al. 2016; torchvision's table)."""
    published = {"resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032}
    for name, count in published.items():
        assert count_parameters(build_resnet(name).backbone) + 1000 * (DIMS[name] + 1) == count


@pytest.mark.parametrize("name", sorted(DIMS))
def test_last_stride_doubles_the_map(name):
    images = torch.zeros(1, 3, 64, 32)
    maps = {}
    for stride in (1, 2):
        network = build_resnet(name, last_stride=stride).eval()
        with torch.no_grad():
            maps[stride] = tuple(network.backbone(images).shape)
            assert network(images).shape == (1, DIMS[name])
    assert maps == {1: (1, DIMS[name], 4, 2), 2: (1, DIMS[name], 2, 1)}


def test_resnet_with_stride_two_is_torchvisions():
    network, theirs = build_resnet("resnet18", last_stride=2).eval(), torchvision.models.resnet18(weights=None).eval()
    state = {name: value for name, value in theirs.state_dict().items() if not name.startswith("fc.")}
    network.backbone.trunk.load_state_dict(state)
    theirs.fc = torch.nn.Identity()
    images = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        output = network.outputs(images)
        torch.testing.assert_close(output.feature, theirs(images))


def test_bad_resnets():
    with pytest.raises(UserError, match="no ResNet is called 'resnet19'; nearest: resnet18"):
        build_resnet("resnet19")
    with pytest.raises(UserError, match="last_stride 3"):
        build_resnet("resnet18", last_stride=3)
    assert sorted(RESNETS) == sorted(DIMS)


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


def test_embedding_is_a_linear_layer_on_the_pooled_map():
    head = BNNeckHead(5, embedding=3).eval()
    maps = torch.randn(2, 5, 4, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(head(maps).feature, maps.mean((2, 3)) @ head.embed.weight.T)
    assert build_resnet("resnet18", embedding=64).feature_dim == 64


def test_network_compares_persons_by_the_embedding():
    network = build_resnet("resnet18").eval()
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
