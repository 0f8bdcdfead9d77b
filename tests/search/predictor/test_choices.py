"""Choices are read as ``supernet.space.genome.encode`` reads them, and what is of no consequence is marked."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.errors import UserError
from search.predictor import encode
from search.predictor.choices import INACTIVE, read_choices
from search.predictor.encoding import columns_of, encode_all
from supernet.omni.space import OmniStageSpace
from supernet.space import Space, StageSpace, decode
from supernet.space.genome import encode as genome_of
from supernet.space.genome import sample

STAGES = (
    StageSpace(stride=1, widths=(4, 6), depths=(1,), kernels=(3,), expands=(1,)),
    StageSpace(2, (6, 8), (1, 2), (3, 5, 7), (1, 3), se=(False, True), ibn=(False, True), acts=("relu6", "h-swish")),
    StageSpace(2, (8, 12, 16), (2, 3), (3, 5), (2, 3, 4), ibn=(False, True)),
)
SPACE = Space("all", (64, 32), (4, 6), STAGES, (0, 10), last_strides=(2, 1), smaller_sizes=((32, 16),))
PLAIN = replace(SPACE, smaller_sizes=())
OMNI = replace(
    SPACE,
    stages=(
        OmniStageSpace(2, (4, 6), (1, 2), (4, 8, 16), (2, 3), (3, 5), transition=(False, True)),
        STAGES[1],
        OmniStageSpace(1, (8,), (2, 3), (4, 8), (3,), (3, 5)),
    ),
    stem_kernels=(3, 7),
    stem_pool=True,
)
drawn = st.tuples(st.sampled_from([SPACE, OMNI]), st.integers(0, 10**6).map(Random))


def _redrawn_idle(space, genome, random):
    """Another genome of the same arch: choices of no consequence drawn anew."""
    arch, dims = decode(space, genome), space.dimensions()
    for name in dims:
        other = {**genome, name: random.choice(dims[name])}
        genome = other if decode(space, other) == arch else genome
    return genome


@settings(deadline=None, max_examples=60)
@given(drawn)
def test_equal_archs_have_equal_vectors_whatever_the_genome(drawn):
    space, random = drawn
    genome = sample(space, random)
    other = _redrawn_idle(space, genome, random)
    assert np.array_equal(encode(space, decode(space, genome)), encode(space, decode(space, other)))


@settings(deadline=None, max_examples=60)
@given(drawn)
def test_different_archs_have_different_vectors(drawn):
    space, random = drawn
    first, second = (decode(space, sample(space, random)) for _ in range(2))
    assert np.array_equal(encode(space, first), encode(space, second)) == (first == second)
    assert encode(space, first).shape == (len(columns_of(space)),)


@settings(deadline=None, max_examples=60)
@given(drawn)
def test_a_choice_is_inactive_where_no_option_of_it_makes_another_arch(drawn):
    space, random = drawn
    arch = decode(space, sample(space, random))
    choices, genome, dims = read_choices(space, [arch]), genome_of(space, arch), space.dimensions()
    for name, options, index in zip(choices.names, choices.options, choices.indices[0], strict=True):
        idle = all(decode(space, {**genome, name: option}) == arch for option in options)
        assert (index == INACTIVE) == idle
        assert idle or options[index] == genome[name]
        assert options == tuple(dims[name])


def test_entries_by_hand():
    """Places run from -1 to 1; a bend is 0.5 in the middle and -0.25 at the ends; what is idle is 0 throughout."""
    first = {name: options[0] for name, options in SPACE.dimensions().items()}
    shallow = {**first, "stem": 6, "s3.width": 12, "s2.b1.kernel": 5}
    deep = {**shallow, "s3.width": 16, "s3.depth": 3, "s3.b3.kernel": 5, "s3.b3.expand": 3, "s2.b1.expand": 3}
    rows = [dict(zip(columns_of(SPACE), encode(SPACE, decode(SPACE, each)), strict=True)) for each in (shallow, deep)]
    expected = {
        ("stem", "place"): (1, 1),
        ("s3.width", "place"): (0, 1),
        ("s3.width", "bend"): (0.5, -0.25),
        ("s2.b1.kernel", "place"): (0, 0),
        ("s2.b1.kernel", "bend"): (0.5, 0.5),
        ("s3.b3.kernel", "place"): (0, 1),
        ("s3.b3.kernel", "active"): (0, 1),
        ("s3.b3.expand", "place"): (0, 0),
        ("s3.b3.expand", "bend"): (0, 0.5),
        ("s3.b3.expand", "active"): (0, 1),
        ("s2.ibn", "active"): (0, 1),  # without an expansion there is nothing for it
        ("s2.ibn", "place"): (0, -1),
    }
    assert {key: tuple(row[key] for row in rows) for key in expected} == expected
    for key in (
        ("stem", "bend"),
        ("stem", "active"),
        ("s3.width", "active"),
        ("s2.b1.kernel", "active"),
        ("s3.ibn", "active"),
    ):
        assert key not in rows[0]


def test_a_space_of_one_arch_has_no_entries():
    only = Space("one", (64, 32), (4,), (replace(STAGES[0], widths=(4,)),), (0,))
    arch = decode(only, {name: options[0] for name, options in only.dimensions().items()})
    assert encode_all(only, [arch]).shape == (1, 0) and columns_of(only) == []


def test_many_archs_are_read_as_one_by_one():
    archs = [decode(SPACE, sample(SPACE, Random(seed))) for seed in range(20)]
    assert np.array_equal(encode_all(SPACE, archs), np.stack([encode(SPACE, arch) for arch in archs]))
    assert encode_all(SPACE, []).shape == (0, len(columns_of(SPACE)))


def test_costs_may_be_counted_at_another_size_unless_sizes_are_a_choice():
    arch = decode(PLAIN, sample(PLAIN, Random(0)))
    assert np.array_equal(encode(PLAIN, arch), encode(PLAIN, arch.at((128, 64))))
    with pytest.raises(UserError, match="input_size is 128x64"):
        encode(SPACE, arch.at((128, 64)))


def test_an_arch_of_another_space_is_refused():
    arch = decode(PLAIN, sample(PLAIN, Random(0)))
    with pytest.raises(UserError, match="stem is 5"):
        encode(PLAIN, replace(arch, stem=5))
    with pytest.raises(UserError, match="2 stages"):
        encode(PLAIN, replace(arch, stages=arch.stages[:2]))
    deep = replace(arch.stages[0], blocks=arch.stages[0].blocks * 2)
    with pytest.raises(UserError, match="s1.depth is 2"):
        encode(PLAIN, replace(arch, stages=(deep, *arch.stages[1:])))


def test_stages_of_another_kind_are_refused():
    arch = decode(OMNI, sample(OMNI, Random(0)))
    with pytest.raises(UserError, match="s1 is of omni-scale blocks"):
        encode(replace(SPACE, stem_pool=True), arch)
    with pytest.raises(UserError, match="its stem_pool is True"):
        encode(SPACE, arch)
