"""Any arch run on the supernet is the network that is extracted for it: outputs, gradients, statistics."""

from __future__ import annotations

import copy
from dataclasses import replace
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reid.engine.bn_calibration import calibrate
from reid.errors import UserError
from supernet.files import load_space, mobilenet_v2
from supernet.layers.elastic import ElasticBatchNorm, ElasticConv2d
from supernet.network import build_network
from supernet.sharing import PLAIN, Sharing
from supernet.space import decode
from supernet.space.genome import largest, sample, smallest
from supernet.supernet import Supernet


@pytest.fixture(scope="module")
def supernets(toy_space, plus_space, omni_space) -> dict[str, Supernet]:
    spaces = {
        "tiny": load_space("tiny"),
        "mlr-210m": load_space("mlr-210m").at((64, 32)),
        "toy": toy_space,
        "toy with embedding": replace(toy_space, embedding=7),
        "plus": plus_space,
        "tiny-plus": load_space("tiny-plus"),
        "omni": omni_space,
        "osnet-like": load_space("osnet-like").at((64, 32)),
    }
    shared = {
        f"{name}, {depth}": _supernet(spaces[name], Sharing(depth=depth))
        for name in ("tiny-plus", "omni")
        for depth in ("ends", "own")
    }
    return {name: _supernet(space) for name, space in spaces.items()} | shared


def _supernet(space, sharing: Sharing = PLAIN) -> Supernet:
    """A supernet whose biases and BN's parameters and statistics are all different, so that a wrong slice shows."""
    generator = torch.Generator().manual_seed(5)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        supernet = Supernet(space, sharing)
    for layer in supernet.modules():
        if isinstance(layer, ElasticBatchNorm):
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
            layer.bias.data.normal_(0, 0.2, generator=generator)
            layer.running_mean.normal_(0, 0.2, generator=generator)
            layer.running_var.uniform_(0.5, 1.5, generator=generator)
        elif isinstance(layer, ElasticConv2d) and layer.bias is not None:
            layer.bias.data.normal_(0, 0.5, generator=generator)
    return supernet


def _archs(space, count: int, seed: int = 0):
    random = Random(seed)
    return [largest(space), smallest(space), *(decode(space, sample(space, random)) for _ in range(count))]


def _images(space, count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, *space.input_size, generator=torch.Generator().manual_seed(seed))


def _differs(a: torch.Tensor, b: torch.Tensor) -> float:
    """Greatest difference, relative to the greatest value."""
    assert a.shape == b.shape
    return float(((a - b).abs().max() / b.abs().max().clamp_min(1.0)).detach())


LARGE = ("mlr-210m", "osnet-like")
DEPTHS = ("tiny-plus, ends", "tiny-plus, own", "omni, ends", "omni, own")
NAMES = ["tiny", "toy", "toy with embedding", "plus", "omni", *DEPTHS, *LARGE]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", NAMES)
def test_output_equals_extracted_network(supernets, name, training):
    supernet = supernets[name].train(training)
    images = _images(supernet.space, 6)
    with torch.no_grad():
        for arch in _archs(supernet.space, 4 if name in LARGE else 8):
            network = supernet.extract(arch)
            assert network.training == training
            assert network.feature_dim == arch.feature_dim
            shared, alone = supernet.outputs(images, arch), network.outputs(images)
            assert _differs(shared.feature, alone.feature) < 1e-5
            assert _differs(shared.embedding, alone.embedding) < 1e-5
            if not training:  # a second run in train mode would not differ: a plain BN's statistics move there
                assert _differs(supernet(images, arch), network(images)) < 1e-5


@pytest.mark.parametrize("name", ["plus", "tiny-plus", "omni"])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_choice_gives_the_extracted_networks_output(supernets, name, data):
    """Drawn archs of spaces with every dimension, images at the arch's own size, both modes.

    In double precision: in train mode the BNNeck divides by the spread of a few features, which may be small.
    """
    space = supernets[name].space
    options = {key: st.sampled_from(values) for key, values in space.dimensions().items()}
    arch = decode(space, data.draw(st.fixed_dictionaries(options)))
    supernet = copy.deepcopy(supernets[name]).double().train(data.draw(st.booleans()))
    images = torch.randn(4, 3, *arch.input_size, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        shared, alone = supernet.outputs(images, arch), supernet.extract(arch).double().outputs(images)
    assert _differs(shared.feature, alone.feature) < 1e-10
    assert _differs(shared.embedding, alone.embedding) < 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_extracted_network(supernets, name):
    supernet = copy.deepcopy(supernets[name]).double().train()
    images = _images(supernet.space, 5).double()
    for arch in _archs(supernet.space, 1 if name in LARGE else 4):
        network = supernet.extract(arch).double()
        # ``extract`` copies through float32, which holds these weights exactly; gradients are rounded to it below.
        supernet.zero_grad(set_to_none=True)
        for outputs in (supernet.outputs(images, arch), network.outputs(images)):
            weights = torch.randn(outputs.feature.shape, generator=torch.Generator().manual_seed(1)).double()
            ((outputs.embedding * weights).sum() + (outputs.feature * weights.roll(1, 0)).sum()).backward()
        # The same slices, cut out of a supernet that holds gradients in the place of weights.
        gradients = copy.deepcopy(supernet)
        for holder, parameter in zip(gradients.parameters(), supernet.parameters(), strict=True):
            holder.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        cut = dict(gradients.extract(arch).named_parameters())
        total, scale = 0.0, max(float(p.grad.abs().max()) for p in network.parameters() if p.grad is not None)
        for key, parameter in network.named_parameters():
            if parameter.grad is None:
                assert key == "head.neck.bias"
                continue
            torch.testing.assert_close(cut[key].double(), parameter.grad, rtol=1e-6, atol=1e-9 * scale)
            total += float(parameter.grad.abs().sum())
        everything = sum(float(p.grad.abs().sum()) for p in supernet.parameters() if p.grad is not None)
        assert everything == pytest.approx(total, rel=1e-6), "weights outside the arch got a gradient"


def test_its_vectors_are_as_long_as_the_longest_of_an_arch(supernets):
    """The classifier's are; an arch without the last convolution may have a longer one than with it."""
    for supernet in supernets.values():
        archs = [replace(largest(supernet.space), last_width=width) for width in supernet.space.last_widths]
        assert supernet.feature_dim == max(arch.feature_dim for arch in archs)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_forward_leaves_no_state(supernets, training):
    supernet = supernets["tiny"].train(training)
    images = _images(supernet.space, 4)
    before = {key: value.clone() for key, value in supernet.state_dict().items()}
    first, second = _archs(supernet.space, 2)[2:]
    with torch.no_grad():
        once = supernet(images, first)
        supernet(images, second)
        assert torch.equal(supernet(images, first), once)
    after = supernet.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(after[key], before[key]) for key in before)


def test_running_statistics_exist():
    """What the previous test looks at is there to be changed."""
    buffers = [name for name, _ in Supernet(load_space("tiny")).named_buffers()]
    assert any(name.endswith("running_mean") for name in buffers)


def test_calibrated_network_differs_in_statistics_alone(supernets):
    supernet = supernets["tiny"].eval()
    arch = _archs(supernet.space, 1)[-1]
    raw, calibrated = supernet.extract(arch), supernet.extract(arch)
    calibrate(calibrated, [_images(supernet.space, 4, seed) for seed in range(2)])
    state = raw.state_dict()
    for key, value in calibrated.state_dict().items():
        statistic = key.endswith(("running_mean", "running_var", "num_batches_tracked"))
        assert torch.equal(state[key], value) != statistic, key


def test_extracted_network_is_plain_and_its_own(supernets):
    supernet = supernets["toy with embedding"]
    arch = smallest(supernet.space)
    network, built = supernet.extract(arch), build_network(arch)
    assert [(n, p.shape, p.requires_grad) for n, p in network.named_parameters()] == [
        (n, p.shape, p.requires_grad) for n, p in built.named_parameters()
    ]
    assert {type(module) for module in network.modules()} == {type(module) for module in built.modules()}
    assert all(layer.num_batches_tracked == 0 for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))
    before = {key: value.clone() for key, value in supernet.state_dict().items()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(7.0)
    assert all(torch.equal(before[key], value) for key, value in supernet.state_dict().items())


def test_extract_draws_no_random_numbers(supernets):
    supernet = supernets["tiny"]
    before = torch.get_rng_state()
    supernet.extract(largest(supernet.space))
    assert torch.equal(torch.get_rng_state(), before)


def test_arch_outside_the_space_is_refused(supernets):
    """Its blocks beyond the supernet's would be left with whatever lies in memory."""
    supernet = supernets["tiny"]
    arch = largest(supernet.space)
    deeper = replace(arch.stages[-1], blocks=arch.stages[-1].blocks * 2)
    with pytest.raises(UserError, match="not in space tiny: s4"):
        supernet.extract(replace(arch, stages=(*arch.stages[:-1], deeper)))
    with pytest.raises(UserError, match="not in space tiny"):
        supernet.extract(mobilenet_v2((64, 32)))
    gated = replace(arch.stages[0], se=True)
    with pytest.raises(UserError, match="not in space tiny: s1.se is True"):
        supernet.extract(replace(arch, stages=(gated, *arch.stages[1:])))


def test_no_choice_is_without_effect(supernets):
    """The wrong way for a test of equality to pass is that a choice is heard by neither side."""
    supernet = supernets["plus"].eval()
    images, base = _images(supernet.space, 2), largest(supernet.space)
    seen = [supernet(images, base)]
    for number, stage in enumerate(base.stages):
        for change in ({"se": False}, {"ibn": False}, {"act": "relu6"}, {"stride": 2}):
            other = replace(stage, **change)
            if other != stage and not (number == 0 and "stride" in change):
                stages = (*base.stages[:number], other, *base.stages[number + 1 :])
                seen.append(supernet(images, replace(base, stages=stages)))
    assert len(seen) == 1 + 3 * 3 - 1 + 1
    assert all(_differs(a, b) > 1e-4 for i, a in enumerate(seen) for b in seen[:i])


def test_extraction_draws_nothing_and_stays_on_the_device():
    """The global generator is left alone; the ``meta`` device stands for a GPU."""
    space = load_space("tiny")
    supernet = _supernet(space)
    before = torch.get_rng_state()
    supernet.extract(largest(space))
    assert torch.equal(torch.get_rng_state(), before)
    network = supernet.to("meta").extract(smallest(space))
    assert {value.device.type for value in network.state_dict().values()} == {"meta"}
