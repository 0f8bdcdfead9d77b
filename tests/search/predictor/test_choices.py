"""Choices are read as ``supernet.genome.encode`` reads them, and what is of no consequence is marked."""

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
from supernet.genome import encode as genome_of
from supernet.genome import sample
from supernet.space import Space, StageSpace, decode

STAGES = (
    StageSpace(stride=1, widths=(4, 6), depths=(1,), kernels=(3,), expands=(1,)),
    StageSpace(2, (6, 8), (1, 2), (3, 5, 7), (1, 3), se=(False, True), ibn=(False, True), acts=("relu6", "h-swish")),
    StageSpace(2, (8, 12, 16), (2, 3), (3, 5), (2, 3, 4), ibn=(False, True)),
)
SPACE = Space("all", (64, 32), (4, 6), STAGES, (0, 10), last_strides=(2, 1), smaller_sizes=((32, 16),))
PLAIN = replace(SPACE, smaller_sizes=())
seeds = st.integers(0, 10**6).map(Random)


def _redrawn_idle(genome, random):
    """Another genome of the same arch: choices of no consequence drawn anew."""
    arch, dims = decode(SPACE, genome), SPACE.dimensions()
    for name in dims:
        other = {**genome, name: random.choice(dims[name])}
        genome = other if decode(SPACE, other) == arch else genome
    return genome


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_equal_archs_have_equal_vectors_whatever_the_genome(random):
    genome = sample(SPACE, random)
    other = _redrawn_idle(genome, random)
    assert np.array_equal(encode(SPACE, decode(SPACE, genome)), encode(SPACE, decode(SPACE, other)))


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_different_archs_have_different_vectors(random):
    first, second = (decode(SPACE, sample(SPACE, random)) for _ in range(2))
    assert np.array_equal(encode(SPACE, first), encode(SPACE, second)) == (first == second)
    assert encode(SPACE, first).shape == (len(columns_of(SPACE)),)


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_a_choice_is_inactive_where_no_option_of_it_makes_another_arch(random):
    arch = decode(SPACE, sample(SPACE, random))
    choices, genome, dims = read_choices(SPACE, [arch]), genome_of(SPACE, arch), SPACE.dimensions()
    for name, options, index in zip(choices.names, choices.options, choices.indices[0], strict=True):
        idle = all(decode(SPACE, {**genome, name: option}) == arch for option in options)
        assert (index == INACTIVE) == idle
        assert idle or options[index] == genome[name]
        assert options == tuple(dims[name])


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
