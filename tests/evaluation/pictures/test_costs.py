"""Accuracy against costs: which panels there are, and that each shows its networks in their kinds' colours."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from matplotlib.image import imread

from evaluation.pictures.costs import FRONT, CostDot, along, draw_costs
from evaluation.pictures.style import KINDS
from reid.errors import UserError
from tests.evaluation.pixels import count_pixels, has_front

DOTS = [
    CostDot("found", "searched", 0.6, 0.02, 200_000_000, 5.0),
    CostDot("baseline", "baseline", 0.5, None, 204_000_000, 4.0),
    CostDot("large", "baseline", 0.7, None, 4_000_000_000, None),
]


def test_a_panel_of_each_cost(tmp_path):
    picture = imread(draw_costs(DOTS, tmp_path / "two.png", "onnx-cpu-1t"))
    left, right = np.array_split(picture, 2, axis=1)
    # Two baselines have FLOPs, one of them a latency; the legend of both panels stands on the left, with a dot of each.
    # Tick labels are grey on both sides.
    for kind, share in (("searched", 1 / 2), ("baseline", 1 / 2)):
        assert count_pixels(right, KINDS[kind]) == pytest.approx(share * count_pixels(left, KINDS[kind]), rel=0.3), kind


def test_without_latencies_there_is_one_panel(tmp_path):
    untimed = [dataclasses.replace(dot, latency_ms=None) for dot in DOTS]
    one, two = imread(draw_costs(untimed, tmp_path / "one.png")), imread(draw_costs(DOTS, tmp_path / "two.png"))
    assert one.shape[1] < 0.6 * two.shape[1] and one.shape[0] == two.shape[0]


def test_a_spread_is_a_bar(tmp_path):
    plain = [dataclasses.replace(dot, spread=None, latency_ms=None) for dot in DOTS]
    wide = [dataclasses.replace(plain[0], spread=0.05), *plain[1:]]
    dark = [(imread(draw_costs(dots, tmp_path / "a.png"))[..., :3].max(axis=2) < 0.4).sum() for dots in (plain, wide)]
    assert dark[1] > dark[0] + 60


def _legend_of(monkeypatch, dots, path, **options) -> list[str]:
    seen = []

    def keep(figure, path):
        seen.extend(text.get_text() for legend in figure.legends for text in legend.get_texts())
        return path

    monkeypatch.setattr("evaluation.pictures.costs.save_figure", keep)
    draw_costs(dots, path, **options)
    return seen


def test_the_legend_names_kinds_and_the_front(tmp_path, monkeypatch):
    assert _legend_of(monkeypatch, DOTS, tmp_path / "a.png") == ["found by the search", "baseline", FRONT]
    assert _legend_of(monkeypatch, DOTS[:1], tmp_path / "a.png") == ["found by the search"]  # no line of one network


def test_there_is_no_line_through_networks_that_cannot_be_compared(tmp_path, monkeypatch):
    legend = _legend_of(monkeypatch, DOTS, tmp_path / "a.png", comparable=False)
    assert legend == ["found by the search", "baseline"]


@pytest.mark.parametrize("comparable", [True, False])
def test_the_line_is_in_the_picture(tmp_path, comparable):
    assert has_front(draw_costs(DOTS, tmp_path / "a.png", comparable=comparable)) == comparable


def test_labels_keep_off_the_line_of_the_front(tmp_path, monkeypatch):
    seen = {}

    def keep(figure, path):
        for axes in figure.axes:
            for text in axes.texts:
                seen[text.get_text()] = text.get_window_extent().transformed(axes.transData.inverted())
        return path

    monkeypatch.setattr("evaluation.pictures.costs.save_figure", keep)
    draw_costs([dataclasses.replace(dot, latency_ms=None) for dot in DOTS], tmp_path / "a.png")
    front = [(200.0, 60.0), (4000.0, 70.0)]  # the one named baseline is beaten by the one found
    line = along(front)
    assert {(200.0, 60.0), (4000.0, 60.0)} < set(line)
    assert not any(box.contains(*point) for box in seen.values() for point in line)


def test_nothing_to_draw(tmp_path):
    with pytest.raises(UserError, match="no row to draw"):
        draw_costs([], tmp_path / "none.png")
