"""ResNet backbones against torchvision and the published counts."""

from __future__ import annotations

import pytest
import torch
import torchvision

from reid.models.backbones import build_backbone
from reid.models.network import count_parameters
from tests.reid.models.backbones.kaiming import not_kaimings

PUBLISHED = {"resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032, "resnet101": 44_549_160}
"""Parameters with the classifier of 1000 classes: 11.7M, 21.8M, 25.6M and 44.5M (torchvision's table)."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones_less_the_classifier(name):
    with torch.device("meta"):
        backbone = build_backbone(name)
    assert count_parameters(backbone) + 1000 * (backbone.feature_width + 1) == PUBLISHED[name]


def test_with_stride_two_it_is_torchvisions():
    theirs = torchvision.models.resnet18(weights=None).eval()
    backbone = build_backbone("resnet18", last_stride=2).eval()
    backbone.trunk.load_state_dict({k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")})
    theirs.fc = torch.nn.Identity()
    images = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(backbone(images).mean((2, 3)), theirs(images))


def test_stride_one_map_contains_the_stride_two_map():
    """Where the last stage is one block, every second pixel of the denser map is the original's pixel."""
    dense, sparse = build_backbone("resnet18", 1).eval(), build_backbone("resnet18", 2).eval()
    sparse.load_state_dict(dense.state_dict())
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    seen = {}
    for network in (dense, sparse):
        block = network.trunk.layer4[0].conv1
        block.register_forward_hook(lambda _, inputs, output, network=network: seen.update({network: output}))
        with torch.no_grad():
            network(images)
    torch.testing.assert_close(seen[dense][:, :, ::2, ::2], seen[sparse])


def test_initialisation_is_kaimings():
    torch.manual_seed(0)
    assert not_kaimings(build_backbone("resnet18")) == []
