"""A folded network against the one that it was made of."""

from __future__ import annotations

import copy
from dataclasses import replace
from random import Random

import pytest
import torch
from torch import nn

from reid.models.backbones.ibn import IBN
from supernet.files import mobilenet_v2
from supernet.folding import fold_batch_norm
from supernet.network import build_network
from supernet.space import decode
from supernet.space.genome import largest, sample, smallest


def _network(arch) -> nn.Module:
    """With BNs that are all different, in float64: what is left of a difference is not rounding."""
    generator = torch.Generator().manual_seed(3)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build_network(arch).double().eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            for tensor in (layer.weight.data, layer.running_var):
                tensor.uniform_(0.5, 1.5, generator=generator)
            for tensor in (layer.bias.data, layer.running_mean):
                tensor.normal_(0, 0.3, generator=generator)
    return network


def _images(size) -> torch.Tensor:
    return torch.randn(3, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def _archs(space):
    return [largest(space), smallest(space), *(decode(space, sample(space, Random(seed))) for seed in range(6))]


@pytest.mark.parametrize("embedding", [None, 7])
def test_folded_network_gives_the_same(toy_space, plus_space, omni_space, embedding):
    """Every kind of choice: squeeze-and-excite, IBN, both activations, an expansion of 1, no last convolution,
    omni-scale blocks."""
    spaces = [replace(space, embedding=embedding) for space in (toy_space, plus_space, omni_space)]
    archs = [arch for space in spaces for arch in _archs(space)]
    for arch in (*archs, mobilenet_v2((32, 16))):
        network, images = _network(arch), _images(arch.input_size)
        with torch.no_grad():
            expected = network(images)
            assert fold_batch_norm(network.train(), torch.float64) is network and not network.training
            torch.testing.assert_close(network(images), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["plus_space", "omni_space"])
def test_only_ibn_keeps_its_batch_norm(name, request):
    seen = set()
    for arch in _archs(request.getfixturevalue(name)):
        network = fold_batch_norm(_network(arch), torch.float64)
        left = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
        mixed = [layer.BN for layer in network.modules() if isinstance(layer, IBN)]
        assert left == mixed
        seen.add(bool(mixed))
    assert seen == {True, False}


def test_half_precision_is_of_convolutions_alone(plus_space):
    network = _network(largest(plus_space)).float()
    images = _images(plus_space.input_size).float()
    full = fold_batch_norm(copy.deepcopy(network))
    half = fold_batch_norm(network, torch.bfloat16)
    for layer in half.modules():
        kinds = {parameter.dtype for parameter in layer.parameters(recurse=False)}
        assert kinds <= {torch.bfloat16 if isinstance(layer, nn.Conv2d) else torch.float32}
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        features = half(images).float()
    with torch.inference_mode():
        assert nn.functional.cosine_similarity(features, full(images)).min() > 0.99
