"""FLOPs and parameters: against fvcore on whole networks, hand-made counts and published figures."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reid.errors import UserError
from reid.models.network import count_parameters
from search import flops_words
from search.costs import CostTable, flops_range, fvcore_counts
from search.costs.table import Cost
from supernet.arch import Arch, Block, Stage
from supernet.files import arch_from_rows, load_space, mobilenet_v2
from supernet.network import build_network
from supernet.omni.arch import OmniBlock, OmniStage
from supernet.space import Space, StageSpace, decode
from supernet.space.genome import contains, encode, largest, sample, smallest

SIZE = (256, 128)
PLUS = load_space("tiny-plus")


@pytest.fixture(scope="module")
def table() -> CostTable:
    return CostTable()


@pytest.fixture(scope="module")
def mobilenet():
    return build_network(mobilenet_v2(SIZE)).train()


@pytest.mark.parametrize("count", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_table_equals_fvcore(table, count):
    space, random = load_space("mlr-210m").at((64, 32)), Random(0)
    for _ in range(count):
        arch = decode(space, sample(space, random))
        assert table.flops(arch) == fvcore_counts.whole_network_flops(arch)


@pytest.mark.parametrize("size", [(64, 32), (67, 35)])
def test_table_equals_fvcore_on_archs_of_omni_scale_stages(table, size):
    space, random = load_space("osnet-like").at(size), Random(0)
    for _ in range(2):
        arch = decode(space, sample(space, random))
        assert table.flops(arch) == fvcore_counts.whole_network_flops(arch)
        assert table.parameters(arch) == count_parameters(build_network(arch))


@pytest.mark.parametrize("size", [(256, 128), (67, 35), (1, 1)])
def test_table_equals_fvcore_at_other_sizes(table, size):
    space = load_space("mlr-210m").at(size)
    arch = decode(space, sample(space, Random(str(size))))
    assert table.flops(arch) == fvcore_counts.whole_network_flops(arch)
    assert table.parameters(arch) == count_parameters(build_network(arch))


@pytest.mark.parametrize(("width", "embedding", "most"), [(8, 32, 11), (4, 9, 8), (16, 48, 24), (64, 48, 10_000)])
def test_a_last_width_of_0_is_refused_where_fvcore_says_that_it_is_not_the_cheapest(table, width, embedding, most):
    """``most`` channels is the widest last stage that may do without a last convolution, on a map of one pixel."""

    def space(inputs: int, *last_widths: int) -> Space:
        stage = StageSpace(stride=2, widths=(inputs,), depths=(1,), kernels=(3,), expands=(1,))
        return Space("last", (2, 2), (4,), (stage,), last_widths, embedding)

    def costs(inputs: int) -> tuple[Cost, Cost]:
        return table.cost(smallest(space(inputs, 0))), table.cost(smallest(space(inputs, width)))

    without, narrow = costs(min(most, 200))
    assert without.flops <= narrow.flops and without.parameters <= narrow.parameters
    space(most, 0, width)
    if most < 10_000:
        without, narrow = costs(most + 1)
        assert without.flops > narrow.flops
        with pytest.raises(UserError, match=f"0 is not the cheapest; leave 0 or {width} out"):
            space(most + 1, 0, width)


def test_table_counts_embedding_and_missing_last_convolution(table):
    rows = ((1, 8, 1, 1), (3, 16, 2, 2))
    for last_width, embedding in ((0, None), (0, 24), (32, 24)):
        arch = arch_from_rows(rows, input_size=(32, 16), stem=8, last_width=last_width, embedding=embedding)
        assert table.flops(arch) == fvcore_counts.whole_network_flops(arch)
        assert table.parameters(arch) == count_parameters(build_network(arch))


def test_one_network_by_hand(table):
    arch = Arch((16, 8), stem=8, stages=(Stage(12, 2, (Block(5, 3),)),), last_width=20, embedding=6)
    stem = 32 * (27 * 8 + 2 * 8)  # 8x4 outputs, 3x3x3 weights and BN for each of 8 channels
    expand = 32 * (8 * 24 + 2 * 24)
    depthwise = 8 * (25 * 24 + 2 * 24)  # stride 2: 4x2 outputs
    project = 8 * (24 * 12 + 2 * 12)
    last = 8 * (12 * 20 + 2 * 20)
    head = 8 * 20 + 20 * 6 + 2 * 6  # pooling reads 4x2 maps of 20 channels
    assert table.flops(arch) == stem + expand + depthwise + project + last + head


def test_an_omni_scale_stage_by_hand(table):
    """The gate is that of squeeze-and-excite, once a stream, with a sixteenth of the channels inside."""
    stages = (OmniStage(12, 2, (OmniBlock(32, 2, 5), OmniBlock(8, 1, 3)), transition=True), OmniStage(12, 1, STREAM))
    arch = Arch((32, 16), stem=8, stages=stages, last_width=0, stem_kernel=7, stem_pool=True)
    light = 32 * 32 + 25 * 32 + 2 * 32
    gate = 32 * 32 + 32 * 2 + 2 * 32  # pooling of an 8x4 map, two convolutions of one pixel
    first = 32 * (8 * 32 + 2 * 32 + 3 * light + 32 * 12 + 2 * 12 + 8 * 12 + 2 * 12) + 2 * gate
    second = 32 * (12 * 8 + 2 * 8 + 8 * 8 + 9 * 8 + 2 * 8 + 8 * 12 + 2 * 12) + 32 * 8 + 8 * 1 + 1 * 8
    third = 8 * (12 * 8 + 2 * 8 + 8 * 8 + 9 * 8 + 2 * 8 + 8 * 12 + 2 * 12 + 12 * 12 + 2 * 12) + 8 * 8 + 8 + 8
    stem, transition, head = 128 * (147 * 8 + 2 * 8), 32 * (12 * 12 + 2 * 12), 8 * 12 + 2 * 12
    assert table.flops(arch) == stem + first + second + transition + third + head


STREAM = (OmniBlock(8, 1, 3),)


def test_squeeze_excite_and_ibn_by_hand(table):
    """The gate: pooling reads the map once, then there are two 1x1 convolutions on one pixel; their biases and the
    product count nothing. Instance normalisation counts 5 for each element where BN counts 2.
    """
    plain = Arch((16, 8), stem=8, stages=(Stage(12, 2, (Block(5, 3), Block(3, 1))),), last_width=0)
    base, (stage,) = table.flops(plain), plain.stages
    hidden, squeezed = (24, 12), (8, 8)  # a quarter, at least 8; both depthwise convolutions give 4x2
    gates = sum(8 * h + 2 * h * s for h, s in zip(hidden, squeezed, strict=True))
    assert table.flops(replace(plain, stages=(replace(stage, se=True),))) == base + gates
    assert table.flops(replace(plain, stages=(replace(stage, ibn=True),))) == base + 3 * 32 * 12  # half of 24, on 8x4
    assert table.flops(replace(plain, stages=(replace(stage, act="h-swish"),))) == base
    biases = sum(h + s for h, s in zip(hidden, squeezed, strict=True))
    weights = sum(2 * h * s for h, s in zip(hidden, squeezed, strict=True))
    gated = replace(plain, stages=(replace(stage, se=True),))
    assert table.parameters(gated) == table.parameters(plain) + weights + biases


def _genomes(space):
    return st.fixed_dictionaries({name: st.sampled_from(options) for name, options in space.dimensions().items()})


@given(_genomes(PLUS))
@settings(max_examples=15, deadline=None)
def test_table_equals_fvcore_with_every_choice(table, genome):
    arch = decode(PLUS, genome)
    network = build_network(arch)
    assert table.cost(arch) == (fvcore_counts.network_flops(network, arch.input_size), count_parameters(network))


@pytest.mark.parametrize("seed", range(3))
def test_flops_grow_or_stay_with_every_choice(table, seed):
    """What lists of archs by FLOPs rely on. From the smallest arch to the largest, one option of one choice a step."""
    options, random = PLUS.dimensions(), Random(seed)
    genome, met, free = encode(PLUS, smallest(PLUS)), [table.flops(smallest(PLUS))], set()
    while growing := [name for name in options if genome[name] != options[name][-1]]:
        name = random.choice(growing)
        genome[name] = options[name][options[name].index(genome[name]) + 1]
        arch = decode(PLUS, genome)
        met.append(table.flops(arch))
        free |= {name} if met[-1] == met[-2] else set()
    assert arch == largest(PLUS) and met == sorted(met)
    acts = {name for name in options if name.endswith(".act")}
    assert acts <= free and all(".b2." in name for name in free - acts), "no choice but these may cost nothing"


def test_mobilenet_v2_published_figures(table, mobilenet):
    backbone = mobilenet.backbone
    assert fvcore_counts.conv_linear_macs(backbone, SIZE) == 195_588_096
    assert (
        fvcore_counts.network_flops(backbone, SIZE) == fvcore_counts.network_counts(backbone, SIZE).flops == 204_310_528
    )
    assert flops_words.format_flops(fvcore_counts.network_counts(backbone, SIZE).mlr) == "208.3M"
    assert flops_words.format_flops(table.flops(mobilenet_v2(SIZE))) == "204.4M"
    # torchvision's MobileNetV2 without its classifier has 2,223,872 parameters; the BNNeck adds 2 * 1280.
    assert table.parameters(mobilenet_v2(SIZE)) == 2_223_872 + 2 * 1280


def test_mlr_convention_adds_one_for_each_activation_output():
    layers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU6(True), nn.Conv2d(4, 5, 1), nn.SiLU(), nn.PReLU())
    counts = fvcore_counts.network_counts(layers, (6, 7))
    assert counts.mlr - counts.flops == 42 * (4 + 5 + 5)


def test_counting_leaves_network_and_random_numbers_alone(mobilenet):
    state, weight = torch.get_rng_state(), mobilenet.backbone.stem.conv.weight.clone()
    mean = mobilenet.backbone.stem.bn.running_mean.clone()
    fvcore_counts.network_flops(mobilenet, (64, 32))
    CostTable().flops(arch_from_rows(((1, 8, 1, 1),), input_size=(8, 8)))
    assert mobilenet.training and torch.equal(torch.get_rng_state(), state)
    assert torch.equal(mobilenet.backbone.stem.conv.weight, weight)
    assert torch.equal(mobilenet.backbone.stem.bn.running_mean, mean)


def test_flops_range_bounds_every_arch(table):
    space, random = load_space("tiny"), Random(1)
    low, high = flops_range(space, table)
    assert all(low <= table.flops(decode(space, sample(space, random))) <= high for _ in range(300))


def test_comment_of_the_mlr_210m_plus_space(table):
    space = load_space("mlr-210m-plus")
    assert [flops_words.format_flops(flops) for flops in flops_range(space, table)] == ["72.7M", "750.6M"]
    assert contains(space, mobilenet_v2(SIZE)) and contains(space, largest(load_space("mlr-210m")))


def test_mlr_210m_space_holds_100m_to_450m(table):
    low, high = flops_range(load_space("mlr-210m"), table)
    assert low < 100e6 and high > 450e6
