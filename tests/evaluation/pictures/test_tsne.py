"""The t-SNE's picture: colours, markers, names, and the footer."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from evaluation.pictures import tsne
from evaluation.pictures.tsne import MARKERS, draw_tsne
from evaluation.tsne import Plane
from reid.errors import UserError


def plane(persons: int, camids=(1, 2, 4)) -> Plane:
    """Eight images of each, in heaps that touch."""
    draw = np.random.default_rng(persons)
    pids = np.repeat(np.arange(1, persons + 1) * 100, 8)
    points = draw.normal(size=(persons, 2)).repeat(8, axis=0) * 6 + draw.normal(size=(len(pids), 2))
    return Plane(points.astype(np.float32), pids, np.resize(camids, len(pids)), 12.5, 41)


@pytest.fixture
def figures(monkeypatch):
    kept, save = [], tsne.save_figure
    monkeypatch.setattr(tsne, "save_figure", lambda figure, path: kept.append(figure) or save(figure, path))
    return kept


@pytest.mark.parametrize("persons", [3, 20])
def test_persons_have_colours_and_cameras_markers(tmp_path, figures, persons):
    given = plane(persons)
    draw_tsne(given, tmp_path / "tsne.png", "title", lambda pid: f"p{pid}", lambda camid: f"cam{camid}")
    (axes,) = figures[0].axes
    groups = [(tuple(each.get_facecolor()[0, :3]), len(each.get_offsets())) for each in axes.collections]
    colours = matplotlib.colormaps["tab10" if persons <= 10 else "tab20"].colors[:persons]
    assert len(groups) == 3 * persons and sum(count for _, count in groups) == 8 * persons
    assert {colour for colour, _ in groups} == set(map(tuple, colours))
    shown = np.concatenate([each.get_offsets() for each in axes.collections])
    np.testing.assert_allclose(np.sort(shown, axis=0), np.sort(given.points, axis=0), rtol=1e-6)
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["cam1", "cam2", "cam4"]
    assert [line.get_marker() for line in legend.get_lines()] == list(MARKERS[:3])
    assert sorted(text.get_text() for text in axes.texts) == sorted(f"p{pid}" for pid in np.unique(given.pids))
    footer = figures[0].get_supxlabel()
    assert footer.startswith(f"{8 * persons} images of {persons} persons; perplexity 12.5, seed 41.")


def test_names_of_cameras_are_no_formulas_and_none_is_left_out(tmp_path, figures):
    """matplotlib takes dollars for formulas, and leaves what begins with an underscore out of a legend."""
    names = {1: "_hall", 2: r"$\frac$", 4: "door"}
    draw_tsne(plane(3), tmp_path / "tsne.png", camera=names.__getitem__)
    shown = [text.get_text().replace(r"\$", "$").strip() for text in figures[0].axes[0].get_legend().get_texts()]
    assert shown == list(names.values())


def test_no_words_overlap_or_are_cut_off(tmp_path, figures):
    draw_tsne(plane(20), tmp_path / "tsne.png")
    (figure,), (axes,) = figures, figures[0].axes
    texts = [*axes.texts, axes._left_title, figure._supxlabel, *axes.get_legend().get_texts()]
    boxes = [text.get_window_extent() for text in texts]
    for number, box in enumerate(boxes):
        assert 0 <= box.x0 and box.x1 <= figure.bbox.width and 0 <= box.y0 and box.y1 <= figure.bbox.height
        assert not any(box.overlaps(other) for other in boxes[:number]), texts[number].get_text()


def test_without_cameras_there_is_no_legend_and_the_bytes_are_the_same(tmp_path, figures):
    paths = [draw_tsne(plane(4, (0,)), tmp_path / f"{number}.png") for number in range(2)]
    assert figures[0].axes[0].get_legend() is None
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_more_persons_than_colours_are_refused(tmp_path):
    with pytest.raises(UserError, match="t-SNE of 21 persons: only 20 colours can be told apart; lower --persons"):
        draw_tsne(plane(21), tmp_path / "tsne.png")
    assert not list(tmp_path.iterdir())
