"""Pictures are judged by what can be computed of them: curves, fronts, boxes, label places, and the colours
on the canvas.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib._pylab_helpers import Gcf
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from evaluation.pictures.architecture import KERNELS, boxes_of, draw_architecture
from evaluation.pictures.curves import APART, MIXED, draw_curves
from evaluation.pictures.front import draw_front, draw_search_front, pareto_front
from evaluation.pictures.labels import place_labels
from evaluation.pictures.panels import PANELS, panel_of, panels_of
from evaluation.pictures.search_progress import draw_search_progress
from evaluation.pictures.style import ACCENT, INK, KINDS, SERIES, new_figure, style_axes
from reid.errors import UserError
from supernet.arch import Arch, Block, Stage
from supernet.files import mobilenet_v2
from supernet.omni.arch import OmniBlock, OmniStage
from tests.evaluation.rows import FOUND

ROW = FOUND
ROWS = [ROW, replace(ROW, name="ResNet-18", kind="baseline", mAP=0.66, flops=150_000_000)]
CANDIDATES = [
    {"trial": trial, "score": 0.3 + trial % 7 / 50, "flops": 2_000_000 + 37_000 * trial} for trial in range(30)
]
FAILED = {"trial": 30, "score": None, "flops": 1}


def has_colour(path: Path, colour) -> bool:
    pixels = np.rint(imread(path)[..., :3] * 255).reshape(-1, 3)
    return bool((np.abs(pixels - np.array(to_rgb(colour)) * 255).max(axis=1) <= 1).any())


def test_every_picture_is_a_png_of_its_own_and_leaves_no_trace(tmp_path):
    before = dict(matplotlib.rcParams)
    records = [{"epoch": epoch, "loss": 1 / epoch} for epoch in range(1, 4)]
    drawn = [
        draw_front(ROWS, tmp_path / "deep" / "front.png", CANDIDATES),
        draw_curves([records], tmp_path / "curves.png"),
        draw_architecture(mobilenet_v2(), tmp_path / "arch.png"),
        draw_search_progress(CANDIDATES, tmp_path / "progress.png"),
    ]
    for path in drawn:
        height, width, _ = imread(path).shape
        assert width > 400 and height > 200
    assert dict(matplotlib.rcParams) == before
    assert not Gcf.get_all_fig_managers()  # pyplot knows of no figure
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 4  # no temporary file is left


def test_the_front_shows_each_kind_in_its_colour(tmp_path):
    both = draw_front(ROWS, tmp_path / "both.png")
    alone = draw_front(ROWS[:1], tmp_path / "alone.png")
    assert has_colour(both, KINDS["searched"]) and has_colour(both, KINDS["baseline"])
    assert has_colour(alone, KINDS["searched"])
    with_search = draw_front(ROWS[1:], tmp_path / "search.png", CANDIDATES)
    assert imread(with_search).shape[1] > imread(both).shape[1]  # a second panel
    assert has_colour(with_search, ACCENT)  # its Pareto front


def test_the_lines_and_dots_of_a_front_are_named(tmp_path, monkeypatch):
    seen = []

    def keep(figure, path):
        seen.append([text.get_text() for axes in figure.axes for text in axes.get_legend().get_texts()])
        return path

    monkeypatch.setattr("evaluation.pictures.front.save_figure", keep)
    draw_search_front(CANDIDATES, tmp_path / "a.png")
    draw_front(ROWS, tmp_path / "a.png", CANDIDATES)
    search = ["candidate", "Pareto front: best at no more of this cost"]
    assert seen == [search, ["found by the search", "baseline", *search]]


def test_the_front_needs_a_row_and_writes_nothing_without(tmp_path):
    with pytest.raises(UserError, match="at least one run"):
        draw_front([], tmp_path / "front.png")
    assert not list(tmp_path.iterdir())


def test_a_front_over_several_costs_has_a_panel_for_each(tmp_path):
    rows = [{**each, "parameters": 100_000 - 7 * each["flops"] % 60_000, "latency_ms": 2.0} for each in CANDIDATES]
    rows.append(FAILED)
    one = draw_search_front(rows, tmp_path / "one.png")
    two = draw_search_front(rows, tmp_path / "two.png", ("flops", "parameters"), [5, 6])
    three = draw_search_front(rows, tmp_path / "three.png", ("flops", "latency_ms", "parameters"), [5, 6])
    assert imread(one).shape[1] < imread(two).shape[1] < imread(three).shape[1]
    other = draw_search_front(rows, tmp_path / "other.png", ("flops", "parameters"), [5, 6, 20, 21, 22])
    accent = [(np.abs(imread(path)[..., :3] - to_rgb(ACCENT)).max(axis=2) < 0.01).sum() for path in (two, other)]
    assert accent[0] < accent[1]  # the members are marked
    assert draw_search_front(rows, tmp_path / "again.png", ("flops",), [5]).read_bytes() == one.read_bytes()


@given(st.lists(st.tuples(st.integers(0, 9).map(float), st.integers(0, 9).map(float)), min_size=1, max_size=20))
def test_pareto_front_is_what_nothing_beats(points):
    unbeaten = {
        (cost, score)
        for cost, score in points
        if not any(c <= cost and s >= score and (c < cost or s > score) for c, s in points)
    }
    front = pareto_front(points)
    assert set(front) == unbeaten
    assert front == sorted(unbeaten)


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6),
    st.lists(st.integers(4, 14), min_size=6, max_size=6),
)
def test_labels_keep_clear_of_each_other(points, lengths):
    figure = new_figure(6.5, 4.6)
    axes = style_axes(figure.subplots(), "", "", "")
    axes.set_xlim(-0.2, 1.2)
    axes.set_ylim(-0.2, 1.2)
    boxes = place_labels(axes, points, ["m" * length for length, _ in zip(lengths, points, strict=False)])
    frame = axes.get_window_extent()
    for number, box in enumerate(boxes):
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        for other in boxes[:number]:
            assert box.x1 <= other.x0 or other.x1 <= box.x0 or box.y1 <= other.y0 or other.y1 <= box.y0
    drawn = [text.get_window_extent() for text in axes.texts]
    assert np.allclose([box.extents for box in boxes], [box.extents for box in drawn], atol=1.5)


def test_a_spread_over_seeds_is_a_bar(tmp_path):
    """The bar is drawn in ink over the dot, which has none itself; a wider spread has more of it."""
    inked = []
    for spread in (None, 0.02, 0.06):
        path = draw_front([replace(ROW, name="", mAP_spread=spread), ROWS[1]], tmp_path / f"{spread}.png")
        pixels = np.rint(imread(path)[..., :3] * 255)
        inked.append(int((np.abs(pixels - np.array(to_rgb(INK)) * 255).max(axis=2) <= 1).sum()))
    assert inked[0] < inked[1] < inked[2]


def test_curves_are_grouped_and_gaps_left_out():
    records = [
        {
            "epoch": 1,
            "loss": 3.0,
            "loss_triplet": 0.5,
            "loss_ce": 2.0,
            "smallest_loss": 4.0,
            "lr": 0.1,
            "note": "text",
            "resumed": True,
        },
        {
            "epoch": 2,
            "loss": float("nan"),
            "loss_ce": 1.0,
            "lr": 0.1,
            "holdout_mAP": 0.25,
            "queries": 9,
            "peak_memory_mib": 7,
            "seconds": 5,
        },
        {"loss": 9.0},
    ]
    found = {panel.title: curves for panel, curves in panels_of(records).items()}
    assert found == {
        "Losses": {
            "loss": ([1], [3.0]),
            "smallest_loss": ([1], [4.0]),
            "loss_ce": ([1, 2], [2.0, 1.0]),
            "loss_triplet": ([1], [0.5]),
        },
        "Retrieval": {"holdout_mAP": ([2], [25.0])},
        "Learning rate": {"lr": ([1, 2], [0.1, 0.1])},
        "Peak memory so far": {"peak_memory_mib": ([2], [7])},
        "seconds": {"seconds": ([2], [5])},
    }
    assert list(found) == ["Losses", "Retrieval", "Learning rate", "Peak memory so far", "seconds"]


def test_every_field_of_a_training_has_a_panel(make_records):
    """None of what the loop records is left to a panel of its own, and nine panels are enough for it."""
    panels = panels_of(make_records(2))
    assert set(panels) <= set(PANELS) and len(panels) == 9
    drawn = {name for curves in panels.values() for name in curves}
    assert drawn == set(make_records(2)[1]) - {"epoch", "distance_gap"}  # the gap is between two curves
    only_gap = [{"epoch": 1, "distance_gap": 0.5}]
    assert [panel.title for panel in panels_of(only_gap)] == ["Distance gap"]


@pytest.mark.parametrize(
    "name, title",
    [
        ("largest_mAP", "Retrieval"),
        ("holdout_rank1", "Retrieval"),
        ("smallest_loss_triplet", "Losses"),
        ("smallest_accuracy", "Training batches"),
        ("random_loss", "Losses"),
        ("random_accuracy", "Training batches"),
        ("loss_that_is_new", "Losses"),
        ("new_field", "new field"),
    ],
)
def test_fields_of_other_tasks_find_their_panel(name, title):
    assert panel_of(name).title == title


@pytest.fixture
def make_records():
    """What the training loop writes, with every loss, for ``count`` epochs; the gap turns after the first half."""

    def make(count: int, gap: float = 1.0):
        losses = ("ce", "triplet", "circle", "center", "centroid", "distillation")
        return [
            {
                "epoch": epoch,
                "loss": 3.0 / epoch,
                **{f"loss_{name}": 1.0 / epoch for name in losses},
                "active_triplets": 0.9,
                "distance_positive": 2.0,
                "distance_negative": 2.0 + gap * (epoch - (count + 1) / 2),
                "distance_gap": gap * (epoch - (count + 1) / 2),
                "accuracy": 0.5,
                "embedding_spread": 0.4,
                "feature_norm": 5.0,
                "identity_variance": 0.5,
                "gradient_norm": 3.0,
                "lr": 0.1 / epoch,
                "images_per_second": 90.0,
                "peak_memory_mib": 800.0,
                "holdout_mAP": 0.4,
                "holdout_rank1": 0.6,
            }
            for epoch in range(1, count + 1)
        ]

    return make


def test_curves_have_a_colour_each_that_stays_theirs(tmp_path):
    both = {"loss_ce": 1.5, "loss_triplet": 0.2}
    path = draw_curves([[{"epoch": 1, **both}, {"epoch": 2, **both}]], tmp_path / "both.png")
    assert [has_colour(path, colour) for colour in SERIES[:3]] == [True, True, False]
    alone = [{"epoch": epoch, "loss_triplet": 0.2} for epoch in (1, 2)]
    path = draw_curves([alone], tmp_path / "alone.png")
    assert [has_colour(path, colour) for colour in SERIES[:3]] == [False, True, False]


def test_the_gap_is_coloured_by_its_sign(tmp_path, make_records):
    def shades(gap: float) -> list[bool]:
        from_the_crossing_on = make_records(5, gap)[2:]
        keys = ("epoch", "distance_positive", "distance_negative")
        pairs = [{key: record[key] for key in keys} for record in from_the_crossing_on]
        path = draw_curves([pairs], tmp_path / f"{gap}.png")
        return [has_colour(path, 1 - 0.13 * (1 - np.array(to_rgb(colour)))) for colour in (APART, MIXED)]

    assert shades(1.0) == [True, False]
    assert shades(-0.5) == [False, True]


def test_curves_of_several_seeds_are_all_drawn(tmp_path):
    """Between two flat curves of different height nothing is drawn: the darkest pixel of each row tells of a line."""
    flat = [[{"epoch": epoch, "accuracy": height} for epoch in range(30)] for height in (0.25, 0.75)]

    def lines(path) -> int:
        pixels = imread(path)[..., :3]
        middle = pixels[:, pixels.shape[1] // 2 - 20 : pixels.shape[1] // 2 + 20]
        blue = (np.abs(middle - np.array(to_rgb(SERIES[0]))).max(axis=2) < 0.35).all(axis=1)
        return int((np.diff(blue.astype(int)) == 1).sum())

    assert lines(draw_curves(flat, tmp_path / "two.png")) == 2
    assert lines(draw_curves(flat[:1], tmp_path / "one.png")) == 1


@pytest.mark.parametrize("records", [[], [{"epoch": 1}], [{"loss": 1.0}]])
def test_no_curves_is_an_error(tmp_path, records):
    with pytest.raises(UserError, match="no training curve"):
        draw_curves([records], tmp_path / "curves.png")


def test_boxes_of_mobilenet_v2():
    """Sandler et al. 2018, table 2."""
    boxes = boxes_of(mobilenet_v2())
    widths = [32, 16, *[24] * 2, *[32] * 3, *[64] * 4, *[96] * 3, *[160] * 3, 320, 1280]
    assert [box.channels for box in boxes] == widths
    assert [box.text for box in boxes] == ["stem", "1", *["6"] * 16, "1x1"]
    assert [box.stage for box in boxes] == [None, 0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, None]


def test_an_arch_is_coloured_by_its_kernels(tmp_path):
    stages = (Stage(8, 1, (Block(3, 1),)), Stage(24, 2, (Block(7, 6), Block(3, 3))))
    path = draw_architecture(Arch((64, 32), 8, stages, last_width=0, embedding=16), tmp_path / "arch.png", "mixed")
    assert [has_colour(path, KERNELS[kernel]) for kernel in (3, 5, 7)] == [True, False, True]


def test_an_archs_extras_are_told_below_their_stage(tmp_path):
    """A line each below the stage, for which the picture grows; it is as before where there are none."""
    bare = Stage(8, 1, (Block(3, 2),))
    pictures = [
        imread(draw_architecture(Arch((64, 32), 8, (bare, stage), last_width=0), tmp_path / "arch.png"))
        for stage in (bare, replace(bare, se=True), replace(bare, act="h-swish"), replace(bare, se=True, ibn=True))
    ]
    heights = [picture.shape[0] for picture in pictures]
    assert heights[0] < heights[1] == heights[2] < heights[3]
    assert not (pictures[1] == pictures[2]).all()


def test_an_omni_scale_archs_boxes_and_maps(tmp_path):
    stages = (OmniStage(24, 2, (OmniBlock(8, 3, 5), OmniBlock(16, 4, 3)), transition=True), Stage(8, 1, (Block(3, 2),)))
    arch = Arch((64, 32), 8, stages, last_width=0, stem_kernel=7, stem_pool=True)
    assert [box.text for box in boxes_of(arch)] == ["stem", "3x8", "4x16", "2"]
    told = imread(draw_architecture(arch, tmp_path / "arch.png"))
    bare = replace(arch, stages=(replace(stages[0], transition=False), stages[1]))
    bare = imread(draw_architecture(bare, tmp_path / "bare.png"))
    assert told.shape[0] > bare.shape[0]
    assert [has_colour(tmp_path / "arch.png", KERNELS[kernel]) for kernel in (3, 5, 7)] == [True, True, False]


def test_search_progress_goes_by_trial_and_leaves_failures_out(tmp_path):
    ordered = draw_search_progress(CANDIDATES, tmp_path / "ordered.png").read_bytes()
    shuffled = draw_search_progress([FAILED, *CANDIDATES[::-1]], tmp_path / "shuffled.png").read_bytes()
    assert ordered == shuffled
    other = draw_search_progress(CANDIDATES[:-1], tmp_path / "other.png").read_bytes()
    assert other != ordered
    with pytest.raises(UserError, match="no candidate with a score"):
        draw_search_progress([FAILED], tmp_path / "none.png")
