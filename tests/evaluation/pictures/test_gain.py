"""The gain's picture: colours by kind, bars over seeds, a line at the random archs' mean, a panel a recipe."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from evaluation.pictures.gain import RANDOM_MEAN, WIDEST, GainDot, GainPanel, draw_gain
from evaluation.pictures.style import DPI, INK, KINDS
from reid.errors import UserError

DOTS = [
    GainDot("MLR-210M-A", "searched", (0.60, 0.62, 0.64)),
    GainDot("R00", "random", (0.55, 0.58, 0.56)),
    GainDot("R01", "random", (0.57, 0.60, 0.56)),
    GainDot("mobilenetv2", "baseline", (0.50, 0.53, 0.52)),
]


def _count(path, colour, tolerance: int = 1) -> int:
    pixels = np.rint(imread(path)[..., :3] * 255).reshape(-1, 3)
    return int((np.abs(pixels - np.array(to_rgb(colour)) * 255).max(axis=1) <= tolerance).sum())


def test_kinds_have_their_colours(tmp_path):
    whole = draw_gain([GainPanel("all", DOTS)], tmp_path / "all.png")
    for kind in ("searched", "random", "baseline"):
        rest = draw_gain([GainPanel("all", [dot for dot in DOTS if dot.kind != kind])], tmp_path / f"{kind}.png")
        assert _count(whole, KINDS[kind]) > _count(rest, KINDS[kind]) + 60
    assert whole.read_bytes() == draw_gain([GainPanel("all", DOTS)], tmp_path / "again.png").read_bytes()


def test_seeds_have_a_bar_and_random_archs_a_line(tmp_path):
    bars = draw_gain([GainPanel("all", DOTS)], tmp_path / "bars.png")
    means = [GainDot(dot.name, dot.kind, (sum(dot.scores) / 3,)) for dot in DOTS]
    flat = draw_gain([GainPanel("all", means)], tmp_path / "flat.png")
    assert _count(bars, INK, 60) > _count(flat, INK, 60) + 150  # thin lines are blended with white
    random = np.array(to_rgb(KINDS["random"]))
    longest = {
        kind: (np.abs(imread(file)[..., :3] - random).max(axis=2) < 0.02).sum(axis=1).max()
        for kind in ("random", "searched")
        for file in [draw_gain([GainPanel("all", [GainDot("a", kind, (0.5,))])], tmp_path / f"{kind}.png")]
    }
    assert longest["random"] > 100 and longest["searched"] == 0  # pixels in a row


def test_the_legend_tells_found_from_random(tmp_path, monkeypatch):
    seen = []

    def keep(figure, path):
        seen.extend(text.get_text() for text in figure.legends[0].get_texts())
        return path

    monkeypatch.setattr("evaluation.pictures.gain.save_figure", keep)
    draw_gain([GainPanel("a", DOTS[:2]), GainPanel("b", DOTS)], tmp_path / "a.png")
    assert len(seen) == len(set(seen)) == 5  # each once for both panels
    assert {"found by the search", "random arch", "baseline", RANDOM_MEAN} < set(seen)
    assert any("standard deviation over seeds" in word for word in seen)


def test_panels(tmp_path):
    one = draw_gain([GainPanel("a", DOTS)], tmp_path / "one.png")
    two = draw_gain([GainPanel("a", DOTS), GainPanel("b", DOTS)], tmp_path / "two.png")
    assert imread(two).shape[1] > 1.5 * imread(one).shape[1]
    many = draw_gain([GainPanel("a", DOTS * 9)], tmp_path / "many.png")
    assert imread(many).shape[1] == WIDEST * DPI
    for panels in ([], [GainPanel("a", [])]):
        with pytest.raises(UserError, match="no trained network to draw"):
            draw_gain(panels, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
