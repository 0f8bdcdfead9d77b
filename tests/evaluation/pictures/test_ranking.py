"""The ranking's picture: a panel a supernet, colours by FLOPs, bars over seeds."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from evaluation.pictures.ranking import RankingPanel, RankingPoint, draw_ranking
from evaluation.pictures.style import MUTED, SCALE
from reid.errors import UserError

POINTS = [RankingPoint(0.3 + n / 50, 0.2 + n / 40, 0.1 + n / 40, 0.3 + n / 40, 1e6 * (n + 1)) for n in range(8)]
FLAT = [RankingPoint(point.score, point.truth, point.truth, point.truth, point.flops) for point in POINTS]


def _count(path, colour, tolerance: int = 1) -> int:
    pixels = np.rint(imread(path)[..., :3] * 255).reshape(-1, 3)
    return int((np.abs(pixels - np.array(to_rgb(colour)) * 255).max(axis=1) <= tolerance).sum())


def test_a_panel_for_each_supernet(tmp_path):
    one = draw_ranking([RankingPanel("a", POINTS)], "truth", tmp_path / "one.png")
    two = draw_ranking([RankingPanel("a", POINTS), RankingPanel("b", POINTS)], "truth", tmp_path / "two.png")
    assert imread(two).shape[1] > 1.6 * imread(one).shape[1]
    four = draw_ranking([RankingPanel(name, POINTS) for name in "abcd"], "truth", tmp_path / "four.png")
    assert imread(four).shape[1] < 2 * imread(two).shape[1] and imread(four).shape[0] > 1.8 * imread(two).shape[0]
    assert one.read_bytes() == draw_ranking([RankingPanel("a", POINTS)], "truth", tmp_path / "again.png").read_bytes()


def test_dots_are_coloured_by_flops_and_seeds_have_bars(tmp_path):
    bars = draw_ranking([RankingPanel("a", POINTS)], "truth", tmp_path / "bars.png")
    flat = draw_ranking([RankingPanel("a", FLAT)], "truth", tmp_path / "flat.png")
    for colour in (SCALE(0.0), SCALE(1.0)):
        assert _count(bars, colour[:3]) > 30
    assert _count(bars, MUTED, 60) > _count(flat, MUTED, 60) + 300  # lines of a pixel or two are blended with white


def test_nothing_to_draw(tmp_path):
    for panels in ([], [RankingPanel("a", [])]):
        with pytest.raises(UserError, match="no ranked arch to draw"):
            draw_ranking(panels, "truth", tmp_path / "none.png")
    assert list(tmp_path.iterdir()) == []
