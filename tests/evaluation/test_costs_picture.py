"""Accuracy against costs: which panels there are, and that each shows its networks in their kinds' colours."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from evaluation.pictures.costs import CostDot, draw_costs
from evaluation.pictures.style import KINDS
from reid.errors import UserError

DOTS = [
    CostDot("found", "searched", 0.6, 0.02, 200_000_000, 5.0),
    CostDot("baseline", "baseline", 0.5, None, 204_000_000, 4.0),
    CostDot("large", "baseline", 0.7, None, 4_000_000_000, None),
]


def _count(picture: np.ndarray, colour) -> int:
    pixels = np.rint(picture[..., :3] * 255).reshape(-1, 3)
    return int((np.abs(pixels - np.array(to_rgb(colour)) * 255).max(axis=1) <= 1).sum())


def test_a_panel_of_each_cost(tmp_path):
    picture = imread(draw_costs(DOTS, tmp_path / "two.png", "onnx-cpu-1t"))
    left, right = np.array_split(picture, 2, axis=1)
    # Two baselines have FLOPs, one of them a latency; the key below each panel has a dot more.
    for kind, share in (("searched", 1.0), ("baseline", 2 / 3)):
        assert _count(right, KINDS[kind]) == pytest.approx(share * _count(left, KINDS[kind]), rel=0.3), kind


def test_without_latencies_there_is_one_panel(tmp_path):
    untimed = [dataclasses.replace(dot, latency_ms=None) for dot in DOTS]
    one, two = imread(draw_costs(untimed, tmp_path / "one.png")), imread(draw_costs(DOTS, tmp_path / "two.png"))
    assert one.shape[1] < 0.6 * two.shape[1] and one.shape[0] == two.shape[0]


def test_a_spread_is_a_bar(tmp_path):
    plain = [dataclasses.replace(dot, spread=None, latency_ms=None) for dot in DOTS]
    wide = [dataclasses.replace(plain[0], spread=0.05), *plain[1:]]
    dark = [(imread(draw_costs(dots, tmp_path / "a.png"))[..., :3].max(axis=2) < 0.4).sum() for dots in (plain, wide)]
    assert dark[1] > dark[0] + 60


def test_nothing_to_draw(tmp_path):
    with pytest.raises(UserError, match="no row to draw"):
        draw_costs([], tmp_path / "none.png")
