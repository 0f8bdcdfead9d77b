"""Spaces: decoding, encoding, counting, and the moves of a search."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.errors import UserError
from search.costs import CostTable, flops_range
from supernet.files import arch_from_rows, load_space, mobilenet_v2
from supernet.space import Space, StageSpace, count_archs, decode, describe
from supernet.space.genome import contains, crossover, encode, largest, mutate, sample, smallest

TINY, MLR, PLUS = load_space("tiny"), load_space("mlr-210m"), load_space("tiny-plus")
MIXED = Space(
    name="mixed",
    input_size=(32, 16),
    stems=(4,),
    stages=(StageSpace(2, (8,), (1, 2), (3,), (1, 2), (False, True), (False, True), ("relu6", "h-swish")),),
    last_widths=(0, 16),
    last_strides=(2, 1),
    smaller_sizes=((16, 8), (16, 16)),
)
OSNET = load_space("osnet-like")
SPACES = st.sampled_from([TINY, MLR, PLUS, MIXED, OSNET])


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
    # Where the genomes differ, it is in blocks that are not there, or in IBN without an expansion.
    for name in genome:
        if genome[name] != again[name]:
            stage, choice = name.split(".")[:2]
            if choice == "ibn":
                assert all(block.expand == 1 for block in arch.stages[int(stage[1:]) - 1].blocks)
            else:
                assert int(choice[1:]) > genome[f"{stage}.depth"]


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


@pytest.mark.parametrize("ibn", [(False,), (True,), (False, True)])
def test_count_archs_with_every_choice_equals_enumeration(ibn):
    space = replace(MIXED, stages=(replace(MIXED.stages[0], ibn=ibn),))
    options = space.dimensions()
    archs = {decode(space, dict(zip(options, values, strict=True))) for values in product(*options.values())}
    bare, grown = 1 + 1, (2 - 1) + (4 - 1)  # blocks of depth 1 and 2: all with expand 1, or not
    assert count_archs(space) == len(archs) == 2 * 2 * 3 * 2 * 2 * (bare + len(ibn) * grown)
    assert all(decode(space, encode(space, arch)) == arch for arch in archs)


def test_count_archs_of_the_large_space():
    """By hand: stem 2; stage 1: 2 widths x 2 kernels; stage 2: 3 widths x (6^2 + 6^3); stages 3 to 6: 3 x (9^2 + 9^3
    + 9^4); stage 7: 3 x 9."""
    assert count_archs(MLR) == 2 * (2 * 2) * (3 * (36 + 216)) * (3 * (81 + 729 + 6561)) ** 4 * 27
    assert "54 choices, 10^22.6 archs" in describe(MLR), "a list of one option is none"


def test_genomes_and_draws_of_older_spaces_are_as_before():
    """Written down by the code from before the further choices: recorded searches are gone on with by these numbers."""
    random = Random(7)
    genome = sample(TINY, random)
    assert list(genome) == list(TINY.dimensions())
    assert list(genome.values()) == [16, 8, 1, 3, 1, 16, 2, 3, 3, 3, 3, 32, 2, 3, 3, 3, 6, 48, 1, 3, 3, 7, 6, 128]
    mutant = mutate(TINY, genome, 0.2, random)
    changed = {name: mutant[name] for name in genome if mutant[name] != genome[name]}
    assert changed == {"s2.width": 24, "s2.b1.expand": 6, "s3.b1.kernel": 5, "s3.b1.expand": 6}
    assert random.random() == 0.2879377648901865


def test_further_choices_by_name():
    of_stage = {name: options for name, options in MIXED.dimensions().items() if ".b" not in name}
    assert of_stage == {
        "stem": (4,),
        "s1.width": (8,),
        "s1.depth": (1, 2),
        "s1.se": (False, True),
        "s1.ibn": (False, True),
        "s1.act": ("relu6", "h-swish"),
        "last_width": (0, 16),
        "last_stride": (2, 1),
        "input_size": ("16x8", "16x16", "32x16"),
    }


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
    high, low = largest(PLUS), smallest(PLUS)
    assert (high.input_size, low.input_size, PLUS.input_size) == ((64, 32), (48, 24), (64, 32))
    assert [stage.stride for stage in high.stages] == [1, 2, 1, 1] and [s.stride for s in low.stages] == [1, 2, 2, 1]
    assert [(stage.se, stage.ibn, stage.act) for stage in high.stages] == [
        (True, number in (1, 2), "h-swish") for number in range(4)
    ]
    assert not any(stage.se or stage.ibn or stage.act != "relu6" for stage in low.stages)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (((1, 8, 1, 1), (3, 16, 1, 2), (3, 24, 1, 2)), "another number of stages"),
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


def test_encode_names_what_else_is_not_in_the_space():
    arch = smallest(TINY)
    for change, message in (
        ({"se": True}, "s2.se is True"),
        ({"ibn": True}, "s2.ibn is True"),
        ({"act": "h-swish"}, "s2.act is h-swish"),
    ):
        stages = (arch.stages[0], replace(arch.stages[1], **change), *arch.stages[2:])
        with pytest.raises(UserError, match=message):
            encode(TINY, replace(arch, stages=stages))
    with pytest.raises(UserError, match="last_stride is 1"):
        encode(TINY, replace(arch, stages=(*arch.stages[:2], replace(arch.stages[2], stride=1), arch.stages[3])))
    with pytest.raises(UserError, match="input_size is 128x64"):
        encode(PLUS, largest(PLUS).at((128, 64)))


def test_what_may_be_chosen_of_stride_and_maps():
    """IBN where the cheapest stride and size leave one pixel, though the dearest leave more."""
    stages = (StageSpace(2, (8,), (2,), (3,), (2,), ibn=(False, True)),)
    fitting = {"name": "x", "input_size": (8, 8), "stems": (8,), "stages": stages, "last_widths": (0,)}
    assert count_archs(Space(**fitting, last_strides=(2, 1), smaller_sizes=((5, 8),))) == 8
    with pytest.raises(UserError, match="ibn on a map of one pixel at 4x4"):
        Space(**fitting, last_strides=(2, 1), smaller_sizes=((4, 4),))
    with pytest.raises(UserError, match="last_stride can only be chosen if a stage has stride 2"):
        Space(**fitting | {"stages": (replace(stages[0], stride=1),)}, last_strides=(2, 1))


STAGE = StageSpace(2, (8,), (1,), (3,), (2,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stems": (8, 4)}, "stem must be ascending"),
        ({"stems": ()}, "stem must be ascending"),
        ({"stems": (8, 8)}, "stem must be ascending, without repeats"),
        ({"stages": (replace(STAGE, se=(False, False)),)}, r"s1.se must be some of \[false, true\] in this order"),
        ({"stages": (replace(STAGE, acts=("relu6", "gelu")),)}, r"s1.act must be some of .*: \[relu6, gelu\]"),
        (
            {"stages": (StageSpace(2, (8,), (1,), (3, 4), (2,)),)},
            r"\[3, 4\] are not valid choices of s1.b1.kernel; give odd numbers of at least 1",
        ),
        ({"stages": (StageSpace(2, (8,), (), (3,), (2,)),)}, "s1.depth"),
        ({"stages": (StageSpace(2, (8,), (0, 1), (3,), (2,)),)}, "s1.depth"),
        ({"stages": (StageSpace(3, (8,), (1,), (3,), (2,)),)}, "stride"),
        ({"stages": ()}, "stage"),
        ({"stages": (), "last_widths": (0, 4), "embedding": 100}, "stage"),
        ({"last_widths": (-1,)}, "last_width"),
        ({"input_size": (64,)}, "input_size"),
        ({"input_size": (0, 32)}, r"input_size \[0, 32\]: must be"),
        ({"smaller_sizes": ((64, 32),)}, "without repeats .given: 64x32, 64x32"),
        ({"smaller_sizes": ((32, 48),)}, "must ascend in height and width, without repeats .given: 32x48, 64x32"),
        ({"embedding": 0}, "embedding"),
        ({"last_widths": (0, 4, 200), "embedding": 100}, "0 is not the cheapest; leave 0 or 4 out"),
        (
            {"stages": (replace(STAGE, widths=(2, 8)),), "last_widths": (0, 4), "embedding": 100},
            "8 channels into an embedding of 100 cost more than a last convolution of 4",
        ),
    ],
)
def test_impossible_spaces_are_refused(change, message):
    good = {"name": "x", "input_size": (64, 32), "stems": (8,), "stages": (STAGE,), "last_widths": (0,)}
    assert count_archs(Space(**good)) == 1
    assert count_archs(Space(**good | {"last_widths": (4, 5), "embedding": 100})) == 2  # 0 alone can be too dear
    with pytest.raises(UserError, match=message):
        Space(**good | change)


def test_at_changes_the_size_alone():
    moved = TINY.at((128, 64))
    assert moved.dimensions() == TINY.dimensions() and largest(moved) == largest(TINY).at((128, 64))
    assert TINY.at(None) is TINY
    alone = PLUS.at((128, 64))
    assert alone.input_sizes == ((128, 64),) and "input_size" not in alone.dimensions()
    assert {arch.input_size for arch in (largest(alone), smallest(alone))} == {(128, 64)}
    assert "48x24 or 64x32" in describe(PLUS)
