"""Gains, sentences and table of made-up results, worked out by hand."""

from __future__ import annotations

import math

import pytest
from scipy.stats import t

from search.gain.analysis import BASELINE, FOUND, INHERITED, RANDOM, Trained, gains, ways
from search.gain.table import network_table


def _trained(name: str, kind: str, mAP, recipe: str = "", flops: int = 200_000_000) -> Trained:
    mAP = tuple(mAP)
    return Trained(name, kind, recipe, flops, 2_300_000, tuple(range(len(mAP))), mAP, tuple(2 * each for each in mAP))


NETWORKS = [
    _trained("A", FOUND, (0.30, 0.32, 0.34)),  # 32, s 2, error 2 / sqrt 3
    _trained("R00", RANDOM, (0.27, 0.29, 0.31), flops=190_000_000),  # 29
    _trained("R01", RANDOM, (0.26, 0.28, 0.30), flops=210_000_000),  # 28: mean 28.5, s 0.7071, error 0.5
    _trained("mobilenetv2", BASELINE, (0.20, 0.21, 0.22)),  # 21, s 1, error 1 / sqrt 3
]


def test_gains_by_hand():
    search, found, space = gains(NETWORKS)
    assert [each.name for each in (search, found, space)] == ["search gain", "found and baseline", "space gain"]
    seeds, archs, base = 4 / 3, 0.25, 1 / 3  # squared errors in points
    for gain, value, first, second in (
        (search, 3.5, (seeds, 2), (archs, 1)),
        (found, 11.0, (seeds, 2), (base, 2)),
        (space, 7.5, (archs, 1), (base, 2)),
    ):
        error = math.sqrt(first[0] + second[0])
        freedom = (first[0] + second[0]) ** 2 / (first[0] ** 2 / first[1] + second[0] ** 2 / second[1])
        for measured, scale in ((gain.mAP, 100), (gain.rank1, 50)):
            assert scale * measured.value == pytest.approx(value) and scale * measured.error == pytest.approx(error)
            assert measured.freedom == pytest.approx(freedom) and measured.errors == pytest.approx(value / error)
            assert scale * measured.low == pytest.approx(value - t.ppf(0.975, freedom) * error)


def test_sentences():
    search, _, space = gains(NETWORKS)
    # 3.5 / sqrt(1.5833) = 2.78; 2.639 degrees of freedom, t 3.447, reach 4.34
    assert search.sentence == (
        "search gain: A: 3.5 points of mAP more than the mean of 2 random archs of its FLOPs; "
        "2.8 standard errors of 1.3; 95 % interval -0.8 to 7.8, which includes 0: not settled"
    )
    assert space.sentence.startswith(
        "space gain: the mean of 2 random archs of its FLOPs: 7.5 points of mAP more than "
    )
    assert "not settled" not in space.sentence and "9.8 standard errors of 0.8" in space.sentence
    worse = gains([_trained("A", FOUND, (0.2,)), *NETWORKS[1:2]])
    assert [each.sentence for each in worse] == [
        "search gain: A: 9.0 points of mAP less than a random arch of its FLOPs; too few trainings to tell how "
        "certain that is"
    ]


def test_recipes_have_the_same_networks():
    """Random archs are pairs: each arch's own level is in both means."""
    by_mlr = [
        _trained("A", FOUND, (0.33, 0.35, 0.37), "mlr"),
        _trained("R00", RANDOM, (0.30, 0.30, 0.30), "mlr"),  # 1 more
        _trained("R01", RANDOM, (0.31, 0.31, 0.31), "mlr"),  # 3 more
        _trained("mobilenetv2", BASELINE, (0.26, 0.27, 0.28), "mlr"),
    ]
    by_standard = [Trained(**{**vars(each), "recipe": "standard"}) for each in NETWORKS]
    made = gains([*by_standard, *by_mlr])
    assert [each.name for each in made[:3]] == [each.name for each in made[3:6]]
    assert made[3].first == "A (mlr)" and made[3].second == "the mean of 2 random archs of its FLOPs (mlr)"
    found, random, base = made[6:]
    assert {each.name for each in (found, random, base)} == {"recipe gain"}
    assert [100 * each.mAP.value for each in (found, random, base)] == pytest.approx([-3, -2, -6])
    assert 100 * random.mAP.error == pytest.approx(1.0) and random.mAP.freedom == 1
    assert 100 * found.mAP.error == pytest.approx(math.sqrt(8 / 3))
    assert found.sentence.startswith("recipe gain: A (standard): 3.0 points of mAP less than A (mlr); ")


def test_ways():
    tuned = _trained("A inherited + 5 epochs", FOUND, (0.33, 0.34, 0.35))
    inherited = _trained("A inherited", INHERITED, (0.25,))
    plain, trained_on = ways(NETWORKS[0], inherited, tuned)
    assert 100 * plain.mAP.value == pytest.approx(-7) and 100 * plain.mAP.error == pytest.approx(2 / math.sqrt(3))
    assert 100 * trained_on.mAP.value == pytest.approx(2)
    assert 100 * trained_on.mAP.error == pytest.approx(math.sqrt(5 / 3))
    assert trained_on.sentence.startswith(
        "inherited and trained on: A inherited + 5 epochs: 2.0 points of mAP more than A"
    )


def test_table():
    lines = network_table(NETWORKS).splitlines()
    assert lines[0].split() == ["network", "kind", "seeds", "mAP", "Rank-1", "FLOPs", "params"]
    assert lines[1].split() == "A found 3 32.0 ± 2.0 64.0 ± 4.0 200.0M 2.30M".split()
    assert lines[4].split() == "mean of 2 random 28.5 ± 0.7 57.0 ± 1.4 200.0M 2.30M".split()
    assert len({len(line) for line in lines}) == 1 and len(lines) == 6
    both = network_table([*NETWORKS, _trained("A", FOUND, (0.4,), "mlr")]).splitlines()
    assert both[0].split()[2] == "recipe" and both[-1].split() == "A found mlr 1 40.0 80.0 200.0M 2.30M".split()
