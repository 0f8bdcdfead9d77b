"""``Committee``: the mean of what supernets say of an arch."""

from __future__ import annotations

import math

from search.scoring.committee import Committee
from supernet.files import load_space
from supernet.space.genome import smallest

ARCH = smallest(load_space("tiny"))


def _says(score, rank1):
    return lambda arch: {"default": score, "rank1": rank1} if arch is ARCH else {}


def test_the_mean_of_every_metric():
    assert Committee([_says(0.5, 0.25), _says(0.25, 1.0), _says(0.75, 0.25)])(ARCH) == {"default": 0.5, "rank1": 0.5}


def test_one_without_a_score_leaves_none():
    told = Committee([_says(0.5, 0.25), _says(math.nan, math.nan)])(ARCH)
    assert math.isnan(told["default"]) and math.isnan(told["rank1"])
