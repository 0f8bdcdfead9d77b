"""Which archs a step trains."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import pytest

from reid.errors import UserError
from search.costs import CostTable, flops_range
from search.sampling import NEAR, evenly_over_flops
from supernet.files import load_space
from supernet.space.genome import contains, largest, smallest
from supernet.training.sampling import SamplingConfig, step_archs, uniform

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


@pytest.mark.parametrize(("every", "expected"), [(0, 0), (1, 12), (3, 4), (5, 3)])
def test_largest_is_in_every_nth_step(every, expected):
    config = SamplingConfig(archs=2, largest_every=every)
    steps = [places(config, step=step) for step in range(12)]
    with_it = [step for step, each in enumerate(steps) if each[0] == (largest(TINY),)]
    assert with_it == [step for step in range(12) if config.with_largest(step, 5.0)] and len(with_it) == expected
    assert all(step % every == 0 for step in with_it)
    assert all(len(each) == 2 + (step in with_it) for step, each in enumerate(steps))
    every_step = [places(SamplingConfig(archs=2), step=step) for step in range(12)]
    assert [each[-2:] for each in steps] == [each[-2:] for each in every_step]  # the same random ones


def test_samplings_that_train_nothing_or_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="archs 0: unless largest_every is 1, some steps would train nothing"):
        SamplingConfig(archs=0, largest_every=0)
    assert SamplingConfig(archs=0, largest_every=0, smallest=True).smallest  # each step has that one
    with pytest.raises(ValueError, match="flops: is only for spread: flops"):
        SamplingConfig(spread="uniform", flops=("5M", "9M"))


def test_every_step_has_an_arch_of_each_part_of_the_flops():
    shares = []

    def draw(random, share):
        shares.append(share)
        return uniform(TINY)(random, share)

    for step in range(50):
        places(SamplingConfig(archs=4), step=step, draw=draw)
    parts = [share * 4 - number % 4 for number, share in enumerate(shares)]
    assert len(parts) == 200 and all(0 <= part < 1 for part in parts)
    assert min(parts) < 0.05 and max(parts) > 0.95  # anywhere in its part


def test_draws_inside_a_band_of_flops_alone():
    """Counted at another size than the archs are trained at."""
    table, size = CostTable(), (128, 64)
    low, high = flops_range(TINY.at(size), table)
    band = (round(low + 0.3 * (high - low)), round(low + 0.4 * (high - low)))
    draw = evenly_over_flops(TINY, table, band, size)
    drawn = [place[0] for step in range(100) for place in places(SamplingConfig(archs=2), step=step, draw=draw)[1:]]
    costs = [table.flops(arch.at(size)) for arch in drawn]
    assert all(band[0] <= cost <= band[1] for cost in costs)
    middle = sum(band) / 2
    assert 60 < sum(cost > middle for cost in costs) < 140 and len(set(drawn)) > 150
    assert all(contains(TINY, arch) and arch.input_size == TINY.input_size for arch in drawn)
    with pytest.raises(UserError, match="supernet.sampling.flops .* choose a range inside it, smaller number first"):
        evenly_over_flops(TINY, table, (band[1], band[0]), size)
    with pytest.raises(UserError, match="space tiny spans"):
        evenly_over_flops(TINY, table, (2 * high, 3 * high), size)


def test_draws_inside_a_band_that_is_narrower_than_near():
    table = CostTable()
    low, high = 9_000_000, 9_100_000
    draw = evenly_over_flops(TINY, table, (low, high))
    costs = [table.flops(next(draw(Random(number), number / 20))) for number in range(20)]
    assert high - low < NEAR * low and all(low <= cost <= high for cost in costs)


def test_draws_nothing_beside_a_band_of_few_archs():
    """Most walks through the space end beside it."""
    table = CostTable()
    low, high = 3_000_000, 3_001_000
    draw = evenly_over_flops(TINY, table, (low, high))
    costs = [table.flops(next(draw(Random(number), 0.5))) for number in range(12)]
    assert all(low <= cost <= high for cost in costs)


def test_a_band_without_an_arch_is_refused(monkeypatch):
    monkeypatch.setattr("search.sampling.TRIES", 20)
    table = CostTable()
    low, _ = flops_range(TINY, table)
    draw = evenly_over_flops(TINY, table, (low + 1, low + 2))
    with pytest.raises(
        UserError, match="sampling.flops .*: no arch of space tiny was found in this range; give a wider one"
    ):
        next(draw(Random(0), 0.5))


def test_largest_alone_while_it_warms_up():
    config = SamplingConfig(archs=3, warmup_epochs=2)
    assert places(config, epoch=0.0) == places(config, epoch=1.99) == ((largest(TINY),),)
    assert len(places(config, epoch=2.0)) == 4
    never = SamplingConfig(archs=3, largest_every=0, warmup_epochs=2)
    assert never.with_largest(1, 1.99) and not never.with_largest(1, 2.0)


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
