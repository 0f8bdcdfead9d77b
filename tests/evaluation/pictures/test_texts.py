"""What is written in pictures can be read: labels, ticks and titles."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.pictures import curves, effects, search_progress
from evaluation.pictures.architecture import draw_architecture
from evaluation.pictures.costs import CostDot, draw_costs
from evaluation.pictures.gain import GainDot, GainPanel, draw_gain
from evaluation.pictures.labels import place_labels
from evaluation.pictures.style import new_figure, style_axes
from supernet.files import mobilenet_v2


@settings(deadline=None, max_examples=10)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.02, 0.2)), min_size=1, max_size=4))
def test_labels_keep_clear_of_bars(points):
    axes = style_axes(new_figure(6.5, 4.6).subplots(), "", "", "")
    axes.set_xlim(-0.4, 1.4)
    axes.set_ylim(-0.4, 1.4)
    places, spreads = [(x, y) for x, y, _ in points], [spread for *_, spread in points]
    boxes = place_labels(axes, places, ["a label"] * len(points), spreads=spreads)
    for x, y, spread in points:
        (left, low), (_, high) = axes.transData.transform([(x, y - spread), (x, y + spread)])
        for box in boxes:
            assert left < box.x0 or box.x1 < left or high < box.y0 or box.y1 < low
    assert len(place_labels(axes, places, ["a label"] * len(points), spreads=[None] * len(points))) == len(points)


def test_labels_stay_where_room_was_found_for_them():
    """A line to a label that is far from its point may go beyond the points; the axes must not be scaled anew by it."""
    axes = style_axes(new_figure(6.5, 4.6).subplots(), "", "", "")
    points = [(100, 60)] * 3 + [(101, 61)] * 9
    axes.scatter(*zip(*points, strict=True))
    axes.margins(0.16)
    boxes = place_labels(axes, points, [f"network-{number}-long name" for number in range(len(points))])
    axes.figure.draw_without_rendering()
    drawn = [text.get_window_extent() for text in axes.texts]
    for box, found in zip(boxes, drawn, strict=True):
        assert found.extents == pytest.approx(box.extents, abs=0.5)


def test_a_dollar_in_a_name_begins_no_formula(tmp_path):
    """Left to itself matplotlib sets what stands between two in another type, or fails on it."""
    axes = style_axes(new_figure(6.5, 4.6).subplots(), "", "", "")
    plain, dollars = place_labels(axes, [(0.2, 0.2), (0.7, 0.7)], ["mm", "$mm$"])
    assert dollars.width > plain.width * 1.3
    name = "a $\\frac$ of ${it}$"
    draw_costs([CostDot(name, "searched", 0.5, 0.1, 10**8, None)], tmp_path / "costs.png")
    draw_architecture(mobilenet_v2(), tmp_path / "arch.png", name)
    draw_gain([GainPanel(name, [GainDot(name, "searched", [0.5])])], tmp_path / "gain.png")


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved, to be looked at."""
    kept = []
    for module in (curves, effects, search_progress):
        save = module.save_figure
        monkeypatch.setattr(
            module, "save_figure", lambda figure, path, *texts, save=save: kept.append(figure) or save(figure, path)
        )
    return kept


def test_epochs_and_trials_are_whole_numbers(tmp_path, figures):
    curves.draw_curves([[{"epoch": 1, "loss": 2.0, "lr": 0.1}]], tmp_path / "curves.png")
    search_progress.draw_search_progress([{"trial": 7, "score": 0.3, "flops": 1}], tmp_path / "progress.png")
    for axes in (*figures[0].axes, figures[1].axes[0]):
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks and all(tick == round(tick) for tick in ticks)


@pytest.mark.parametrize("count", [1, 4])
def test_nothing_overlaps_or_is_cut_off_beside_wide_options(tmp_path, figures, count):
    words = {
        "input_size": ("256x128", "128x64"),
        "stage7.block4.expansion": (1, 6),
        "act": ("h-swish", "relu6"),
        "se": (0, 1),
    }
    told = {"candidates": 400, "effect": 0.5, "error": 0.1, "at_equal_flops": 0.2}
    dimensions = [
        {"name": name, "share": 0.1, "options": [{"option": option, **told} for option in options]}
        for name, options in list(words.items())[:count]
    ]
    effects.draw_effects({"r2": 0.71, "dimensions": dimensions}, tmp_path / "effects.png")
    (figure,) = figures
    (axes,), (legend,) = figure.axes, figure.legends
    titles = [axes.title, axes._left_title, axes._right_title]
    texts = [*titles, *axes.texts, *axes.get_yticklabels(), axes.xaxis.label, *legend.get_texts()]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    assert len(boxes) == 2 + count + 2 * count + 2
    for number, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:number])
