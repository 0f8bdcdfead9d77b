"""Which archs a step trains."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import pytest

from search.cost import CostTable, flops_range
from search.sampling import NEAR, evenly_over_flops
from supernet.files import load_space
from supernet.genome import contains, largest, smallest
from supernet.sampling import SamplingConfig, step_archs, uniform

TINY = load_space("tiny")


def places(config: SamplingConfig, seed: int = 0, step: int = 0, epoch: float = 5.0, draw=None):
    return step_archs(TINY, config, draw or uniform(TINY), seed, step, epoch)


def test_largest_first_then_smallest_then_random_and_always_the_same():
    config = SamplingConfig(archs=3, smallest=True)
    for seed, step in itertools.product((0, 5), (0, 1, 99)):
        first, second, *others = drawn = places(config, seed, step)
        assert (first, second) == ((largest(TINY),), (smallest(TINY),))
        assert len(others) == 3 and all(len(place) == 1 and contains(TINY, place[0]) for place in others)
        assert places(config, seed, step) == drawn
    assert len({places(SamplingConfig(archs=1), seed, step)[1] for step in range(20) for seed in range(2)}) > 35


def test_smallest_can_be_left_to_chance():
    assert places(SamplingConfig(archs=0)) == ((largest(TINY),),)
    steps = [places(SamplingConfig(archs=2), step=step) for step in range(50)]
    assert all(len(each) == 3 and each[1] != (smallest(TINY),) for each in steps)


def test_largest_alone_while_it_warms_up():
    config = SamplingConfig(archs=3, warmup_epochs=2)
    assert places(config, epoch=0.0) == places(config, epoch=1.99) == ((largest(TINY),),)
    assert len(places(config, epoch=2.0)) == 4


def test_uniform_draws_every_option_alike():
    drawn = [place[0] for step in range(600) for place in places(SamplingConfig(archs=2), step=step)[1:]]
    for choice, options in ((lambda arch: arch.stem, 2), (lambda arch: arch.stages[2].width, 3)):
        counts = Counter(map(choice, drawn))
        expected = len(drawn) / options
        # Five standard deviations of a binomial count.
        assert all(abs(count - expected) < 5 * (expected * (1 - 1 / options)) ** 0.5 for count in counts.values())
        assert len(counts) == options


def test_attentive_places_hold_archs_of_like_flops():
    table = CostTable()
    draw = evenly_over_flops(TINY, table)
    for step in range(30):
        _, *others = places(SamplingConfig(archs=2, attentive="worst", attentive_of=4), step=step, draw=draw)
        assert [len(place) for place in others] == [4, 4]
        for place in others:
            flops = [table.flops(arch) for arch in place]
            assert max(flops) <= min(flops) * (1 + NEAR) / (1 - NEAR) * 1.1


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_draws_the_flops_that_are_asked_for(share):
    table = CostTable()
    low, high = flops_range(TINY, table)
    wanted = low + share * (high - low)
    drawn = list(itertools.islice(evenly_over_flops(TINY, table)(Random(1), share), 40))
    assert sum(abs(table.flops(arch) / wanted - 1) <= NEAR for arch in drawn) >= 36
    assert len(set(drawn)) > (20 if 0 < share < 1 else 0)


def test_spread_over_flops_trains_large_and_small_alike():
    """Quarters of the range of FLOPs get a quarter of the archs each; drawn uniformly the upper half gets few."""
    table = CostTable()
    low, high = flops_range(TINY, table)

    def quarters(draw) -> Counter:
        steps = (places(SamplingConfig(archs=2), step=step, draw=draw) for step in range(200))
        archs = (place[0] for each in steps for place in each[1:])
        return Counter(min(3, int(4 * (table.flops(arch) - low) / (high - low))) for arch in archs)

    assert all(70 <= quarters(evenly_over_flops(TINY, table))[quarter] <= 130 for quarter in range(4))
    even = quarters(uniform(TINY))
    assert even[2] + even[3] < 40
