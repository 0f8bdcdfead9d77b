"""Spaces with omni-scale stages: names of dimensions, counting, files, refusals, monotone costs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from random import Random

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.errors import UserError
from search.costs import CostTable, flops_range
from supernet.files import load_space, space_from_dict, space_to_dict
from supernet.omni.space import OmniStageSpace
from supernet.space import Space, count_archs, decode, describe
from supernet.space.genome import contains, encode, largest, sample

OSNET, TABLE = load_space("osnet-like"), CostTable()
STAGE = OmniStageSpace(2, (8,), (1, 2), hidden=(4, 8), streams=(2, 3), kernels=(3,), transition=(False, True))
SMALL = Space("small", (32, 16), (4,), (STAGE,), (0, 16), last_strides=(2, 1), stem_kernels=(3, 7), stem_pool=True)


def test_dimensions_by_name():
    assert SMALL.dimensions() == {
        "stem": (4,),
        "stem_kernel": (3, 7),
        "s1.width": (8,),
        "s1.depth": (1, 2),
        "s1.transition": (False, True),
        "s1.b1.hidden": (4, 8),
        "s1.b1.streams": (2, 3),
        "s1.b1.kernel": (3,),
        "s1.b2.hidden": (4, 8),
        "s1.b2.streams": (2, 3),
        "s1.b2.kernel": (3,),
        "last_width": (0, 16),
        "last_stride": (2, 1),
    }
    alone = replace(SMALL, stages=(replace(STAGE, transition=(True,)),), stem_kernels=(7,))
    assert not {"s1.transition", "stem_kernel"} & alone.dimensions().keys()
    assert largest(alone).stages[0].transition and largest(alone).stem_kernel == 7


def test_count_archs_equals_enumeration():
    options = SMALL.dimensions()
    archs = {decode(SMALL, dict(zip(options, values, strict=True))) for values in product(*options.values())}
    assert count_archs(SMALL) == len(archs) == 2 * (2 * (4 + 16)) * 2 * 2
    assert all(decode(SMALL, encode(SMALL, arch)) == arch for arch in archs)


@given(st.integers(0, 10**6).map(Random))
@settings(max_examples=60, deadline=None)
def test_costs_grow_with_every_choice(random):
    """The search takes the smallest arch for the cheapest, in FLOPs and in parameters; also where stages that follow
    each other may be of one width."""
    second = replace(STAGE, widths=(8, 10), depths=(1,), streams=(2,))
    space = replace(SMALL, stages=(replace(STAGE, widths=(6, 8)), second, replace(second, stride=1)))
    genome, dims = sample(space, random), space.dimensions()
    choice = random.choice([each for each in dims if len(dims[each]) > 1])
    costs = [TABLE.cost(decode(space, {**genome, choice: option})) for option in dims[choice]]
    for cheaper, dearer in pairwise(costs):
        assert cheaper.flops <= dearer.flops and cheaper.parameters <= dearer.parameters, choice


def test_file_spans_what_it_says():
    low, high = (f"{flops / 1e6:.0f}M" for flops in flops_range(OSNET, TABLE))
    assert (low, high) == ("24M", "418M") and describe(OSNET).endswith("10^15.3 archs")


def test_file_round_trip(omni_space):
    for space in (OSNET, SMALL, omni_space):
        assert space_from_dict(yaml.safe_load(yaml.safe_dump(space_to_dict(space)))) == space
    assert list(space_to_dict(SMALL)["stages"][0])[:2] == ["block", "stride"]


def test_what_is_not_in_the_space_is_named(omni_space):
    arch = largest(omni_space)
    first, second, *rest = arch.stages
    narrow = replace(first, blocks=(replace(first.blocks[0], hidden=5),))
    for change, message in (
        ({"stem_pool": False}, "its stem_pool is False"),
        ({"stem_kernel": 5}, "stem_kernel is 5"),
        ({"stages": (second, first, *rest)}, "s1 is of inverted-residual blocks"),
        ({"stages": (replace(first, blocks=first.blocks * 2), second, *rest)}, "s1.depth is 4"),
        ({"stages": (narrow, second, *rest)}, "s1.b1.hidden is 5"),
        ({"stages": (replace(first, stride=1), second, *rest)}, "a stage has another stride"),
    ):
        with pytest.raises(UserError, match=f"not in space omni: {message}"):
            encode(omni_space, replace(arch, **change))
        assert not contains(omni_space, replace(arch, **change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": (8, 4)}, "s1.b1.hidden must be ascending"),
        ({"hidden": (0, 4)}, "are not valid choices of s1.b1.hidden"),
        ({"streams": (4, 5)}, "block streams 5: must be 1 to 4"),
        ({"kernels": (2,)}, "are not valid choices of s1.b1.kernel"),
        ({"transition": (True, False)}, r"s1.transition must be some of \[false, true\]"),
        ({"depths": ()}, "s1.depth"),
    ],
)
def test_impossible_choices_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        replace(SMALL, stages=(replace(STAGE, **change),))


def test_impossible_stems_and_maps_are_refused():
    with pytest.raises(UserError, match="are not valid choices of stem_kernel"):
        replace(SMALL, stem_kernels=(3, 4))
    with pytest.raises(UserError, match="stem_pool must be true or false"):
        replace(SMALL, stem_pool="yes")
    with pytest.raises(UserError, match="stage 1 halves a map of 1x8"):
        replace(SMALL, input_size=(4, 32))


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"block": "omni_scale"}, "block omni_scale: must be one of inverted-residual, omni-scale"),
        ({"expands": [3]}, "unknown key 'expands' in a stage"),
        ({"transition": True}, "transition: must be a list"),
        ({"hidden": None}, "hidden: must be a list"),
    ],
)
def test_bad_files_name_the_key(stage, message):
    data = space_to_dict(SMALL)
    with pytest.raises(UserError, match=message):
        space_from_dict(data | {"stages": [data["stages"][0] | stage]})
