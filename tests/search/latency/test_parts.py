"""Parts of archs: all of a space's against brute force, and each against the network it is of."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest
import torch
from torch import nn

from reid.models.network import count_parameters
from search.latency.parts import build_part, parts_of, space_parts
from supernet.files import load_space
from supernet.network import build_network
from supernet.omni.space import OmniStageSpace
from supernet.space import Space, StageSpace, decode
from supernet.space.genome import sample


@pytest.fixture(params=["few", "omni"])
def space(request, space) -> Space:
    """The folder's, and one of omni-scale stages with one of inverted residual blocks between them."""
    if request.param == "few":
        return space
    off_on = (False, True)
    stages = (
        OmniStageSpace(2, (4, 6), (1, 2), hidden=(3, 4), streams=(1, 2), kernels=(3,), transition=off_on),
        StageSpace(1, (4,), (1,), (3,), (1, 2)),
        OmniStageSpace(1, (4,), (1,), hidden=(4,), streams=(1, 3), kernels=(1, 3), transition=off_on),
    )
    return Space("omni", (16, 8), (4,), stages, (0, 8), last_strides=(2, 1), stem_kernels=(3, 7), stem_pool=True)


def test_parts_of_a_space_are_those_of_all_its_archs(space):
    options = space.dimensions()
    wanted = set()
    for values in product(*options.values()):
        wanted |= set(parts_of(decode(space, dict(zip(options, values, strict=True)))))
    found = space_parts(space)
    assert len(found) == len(set(found)) and set(found) == wanted


def test_ibn_is_seen_to_matter_to_every_block_that_may_expand():
    """A block of expand 1 has no use for IBN. Random archs alone never had an expansion in the second block here."""
    stage = StageSpace(1, (8, 16, 24), (2,), (3, 5, 7), (1, 6), ibn=(False, True))
    space = Space("expands", (64, 32), (8,), (stage,), (16,))
    options = space.dimensions()
    archs = (decode(space, dict(zip(options, values, strict=True))) for values in product(*options.values()))
    assert set(space_parts(space)) == {part for arch in archs for part in parts_of(arch)}


@pytest.mark.parametrize("name", ["tiny", "mlr-210m", "tiny-plus", "osnet-like"])
def test_parts_of_random_archs_are_among_the_spaces(name):
    space, random = load_space(name), Random(0)
    known = set(space_parts(space))
    for _ in range(300):
        assert known >= set(parts_of(decode(space, sample(space, random))))


def test_parts_make_up_the_network(space):
    random = Random(1)
    for _ in range(20):
        arch = decode(space, sample(space, random))
        network, x = build_network(arch).eval(), torch.zeros(1, 3, *arch.input_size)
        parts = [build_part(part) for part in parts_of(arch)]
        for module, shape in parts:
            assert x.shape[1:] == shape
            x = module.eval()(x)
        assert x.embedding.shape == network(torch.zeros(1, 3, *arch.input_size)).shape
        assert sum(count_parameters(module) for module, _ in parts) == count_parameters(network)
        assert [name for module, _ in parts for name in layers(module)] == layers(network)


def layers(network: nn.Module) -> list[str]:
    """What a network computes with, in order."""
    leaves = [each for each in network.modules() if not list(each.children())]
    return [type(each).__name__ for each in leaves if not isinstance(each, nn.Identity)]


def test_building_a_part_draws_from_no_ones_numbers(space):
    state = torch.get_rng_state()
    build_part(space_parts(space)[0])
    assert torch.equal(torch.get_rng_state(), state)
