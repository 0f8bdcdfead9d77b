"""Spaces: decoding, encoding, counting, and the moves of a search."""

from __future__ import annotations

from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.errors import UserError
from search.cost import CostTable, flops_range
from supernet.arch import arch_from_rows, mobilenet_v2
from supernet.files import load_space
from supernet.space import (
    Space,
    StageSpace,
    contains,
    count_archs,
    crossover,
    decode,
    describe,
    encode,
    largest,
    mutate,
    sample,
    smallest,
)

TINY, MLR = load_space("tiny"), load_space("mlr-210m")
SPACES = st.sampled_from([TINY, MLR])


@st.composite
def space_and_genomes(draw, count: int = 1):
    space = draw(SPACES)
    options = {name: st.sampled_from(values) for name, values in space.dimensions().items()}
    return space, *(draw(st.fixed_dictionaries(options)) for _ in range(count))


def _in_space(space, genome) -> bool:
    options = space.dimensions()
    return genome.keys() == options.keys() and all(genome[name] in options[name] for name in options)


@given(space_and_genomes())
@settings(max_examples=60, deadline=None)
def test_decode_encode_round_trip(drawn):
    space, genome = drawn
    arch = decode(space, genome)
    assert contains(space, arch)
    again = encode(space, arch)
    assert _in_space(space, again)
    assert decode(space, again) == arch
    assert encode(space, decode(space, again)) == again
    # Where the genomes differ, it is in blocks that are not there.
    for name in genome:
        if genome[name] != again[name]:
            stage, block = name.split(".")[:2]
            assert int(block[1:]) > genome[f"{stage}.depth"]


@given(space_and_genomes(count=2), st.integers(0, 2**32), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_moves_stay_in_the_space(drawn, seed, probability):
    space, first, second = drawn
    random = Random(seed)
    assert _in_space(space, sample(space, random))
    mutant = mutate(space, first, probability, random)
    child = crossover(space, first, second, random)
    assert _in_space(space, mutant) and _in_space(space, child)
    assert contains(space, decode(space, mutant)) and contains(space, decode(space, child))
    assert all(child[name] in (first[name], second[name]) for name in child)


@given(space_and_genomes(), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_parents_are_left_alone_and_draws_follow_the_seed(drawn, seed):
    space, genome = drawn
    before = dict(genome)
    assert mutate(space, genome, 0.5, Random(seed)) == mutate(space, genome, 0.5, Random(seed))
    assert genome == before


def test_mutation_probability():
    """At 0 one choice is redrawn, at 1 all are; half of a two-option choice's redraws change it."""
    start = encode(TINY, smallest(TINY))
    changed = [sum(start[k] != m[k] for k in start) for m in (mutate(TINY, start, 0.0, Random(s)) for s in range(50))]
    assert max(changed) == 1
    drawn = [mutate(TINY, start, 1.0, Random(seed)) for seed in range(400)]
    assert sum(each["stem"] == 16 for each in drawn) / 400 == pytest.approx(0.5, abs=0.08)


def test_sample_is_uniform():
    random = Random(0)
    drawn = [sample(TINY, random) for _ in range(3000)]
    for name, options in TINY.dimensions().items():
        for option in options:
            share = sum(genome[name] == option for genome in drawn) / len(drawn)
            assert share == pytest.approx(1 / len(options), abs=0.05), (name, option)


def test_count_archs_equals_enumeration():
    stages = (
        StageSpace(1, (4, 8), (1, 2), (3, 5), (1, 2)),
        StageSpace(2, (8,), (1, 3), (3,), (2, 3)),
    )
    space = Space("enumerated", (32, 16), (4, 8), stages, (0, 16))
    options = space.dimensions()
    archs = {decode(space, dict(zip(options, values, strict=True))) for values in product(*options.values())}
    assert count_archs(space) == len(archs) == 2 * 2 * (2 * (4 + 16)) * (2 + 8)


def test_count_archs_of_the_large_space():
    """By hand: stem 2; stage 1: 2 widths x 2 kernels; stage 2: 3 widths x (6^2 + 6^3); stages 3 to 6: 3 x (9^2 + 9^3
    + 9^4); stage 7: 3 x 9."""
    assert count_archs(MLR) == 2 * (2 * 2) * (3 * (36 + 216)) * (3 * (81 + 729 + 6561)) ** 4 * 27
    assert "10^22.6 archs" in describe(MLR)


def test_toy_space_says_its_own_size(toy_space):
    assert count_archs(toy_space) == 2 * 2 * 2 * (2 * (6 + 36)) * (3 * (4 + 16))


def test_large_space_holds_mobilenetv2():
    arch = mobilenet_v2()
    assert contains(MLR, arch) and decode(MLR, encode(MLR, arch)) == arch
    assert contains(MLR, arch.at((128, 64)))
    assert not contains(TINY, arch)


def test_large_space_spans_100_to_450_mflops():
    """Growing one choice at a time from the smallest to the largest leaves no gap of more than a tenth."""
    table = CostTable()
    low, high = flops_range(MLR, table)
    assert low < 100e6 and high > 450e6
    options, genome = MLR.dimensions(), encode(MLR, smallest(MLR))
    met, random = [low], Random(0)
    while growing := [name for name in options if genome[name] != options[name][-1]]:
        name = random.choice(growing)
        genome[name] = options[name][options[name].index(genome[name]) + 1]
        met.append(table.flops(decode(MLR, genome)))
    assert met == sorted(met) and met[-1] == high
    inside = [flops for flops in met if 100e6 <= flops <= 450e6]
    assert len(inside) > 20 and max(b / a for a, b in pairwise(inside)) < 1.1


def test_largest_and_smallest():
    assert largest(TINY).stem == 16 and smallest(TINY).stem == 8
    assert [stage.width for stage in largest(TINY).stages] == [16, 24, 48, 96]
    assert [len(stage.blocks) for stage in smallest(TINY).stages] == [1, 1, 1, 1]
    assert {b.kernel for b in largest(TINY).stages[3].blocks} == {7}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (((1, 8, 1, 1), (3, 16, 1, 2), (3, 24, 1, 2)), "other stages"),
        (((1, 8, 1, 1), (3, 16, 1, 2), (3, 25, 1, 2), (3, 48, 1, 1)), "s3.width is 25"),
        (((1, 8, 1, 1), (3, 16, 3, 2), (3, 24, 1, 2), (3, 48, 1, 1)), "s2.depth is 3|s2.b3"),
        (((1, 8, 1, 1), (3, 16, 1, 2), (4, 24, 1, 2), (3, 48, 1, 1)), "s3.b1.expand is 4"),
        (((1, 8, 1, 1), (3, 16, 1, 1), (3, 24, 1, 2), (3, 48, 1, 1)), "another stride"),
    ],
)
def test_encode_names_what_is_not_in_the_space(rows, message):
    arch = arch_from_rows(rows, input_size=(64, 32), stem=8, last_width=128)
    with pytest.raises(UserError, match=message):
        encode(TINY, arch)
    assert not contains(TINY, arch)


STAGE = StageSpace(2, (8,), (1,), (3,), (2,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stems": (8, 4)}, "stem must be ascending"),
        ({"stems": ()}, "stem must be ascending"),
        ({"stages": (StageSpace(2, (8,), (1,), (3, 4), (2,)),)}, r"\[3, 4\] is no valid choice of s1.b1.kernel"),
        ({"stages": (StageSpace(2, (8,), (), (3,), (2,)),)}, "s1.depth"),
        ({"stages": (StageSpace(2, (8,), (0, 1), (3,), (2,)),)}, "s1.depth"),
        ({"stages": (StageSpace(3, (8,), (1,), (3,), (2,)),)}, "stride"),
        ({"stages": ()}, "stage"),
        ({"last_widths": (-1,)}, "last_width"),
        ({"input_size": (64,)}, "input_size"),
        ({"embedding": 0}, "embedding"),
    ],
)
def test_impossible_spaces_are_refused(change, message):
    good = {"name": "x", "input_size": (64, 32), "stems": (8,), "stages": (STAGE,), "last_widths": (0,)}
    assert count_archs(Space(**good)) == 1
    with pytest.raises(UserError, match=message):
        Space(**good | change)


def test_at_changes_the_size_alone():
    moved = TINY.at((128, 64))
    assert moved.dimensions() == TINY.dimensions() and largest(moved) == largest(TINY).at((128, 64))
    assert TINY.at(None) is TINY
