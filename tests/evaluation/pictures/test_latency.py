"""The picture of predicted against measured latencies."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from matplotlib.image import imread

from evaluation.pictures.latency_error import draw_latency_error
from evaluation.pictures.style import SCALE
from reid.errors import UserError


def dots(path) -> np.ndarray:
    """Rows and columns of the pixels in the colour of the only network's dot."""
    pixels = imread(path)[..., :3]
    near = np.abs(pixels - np.array(SCALE(0.0)[:3])).max(axis=2) < 0.02
    return np.argwhere(near[:, : int(0.8 * near.shape[1])])  # the colour bar is on the right


def test_dots_stand_at_predicted_across_and_measured_up(tmp_path):
    """The axes stay the same, so that a change in milliseconds is the same change in pixels."""
    places = {}
    for predicted, measured in ((1.0, 1.0), (1.0, 2.0), (2.0, 1.0), (1.5, 1.5)):
        figures = ([predicted, 0.5, 3.0], [measured, 0.5, 3.0], [1e6, 9e6, 9e6])
        places[predicted, measured] = np.median(dots(draw_latency_error(*figures, tmp_path / "error.png")), axis=0)
    (row, column), (up, same_column), (same_row, right) = (places[each] for each in ((1, 1), (1, 2), (2, 1)))
    assert abs(same_column - column) <= 1 and abs(same_row - row) <= 1 and up < row - 50 and right > column + 50
    np.testing.assert_allclose(places[1.5, 1.5], [(row + up) / 2, (column + right) / 2], atol=1.5)


def test_same_input_gives_the_same_bytes(tmp_path):
    first, second = (draw_latency_error([1.0], [1.1], [1e6], tmp_path / name, "a") for name in ("1.png", "2.png"))
    assert first.read_bytes() == second.read_bytes()


def test_networks_of_one_latency_have_an_axis(tmp_path):
    """Warnings are errors here: matplotlib has one for axes of no length."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = draw_latency_error([1.5, 1.5], [1.5, 1.5], [9e6, 1e6], tmp_path / "error.png")
    row, column = np.median(dots(path), axis=0) / imread(path).shape[:2]
    assert 0.3 < row < 0.7 and 0.3 < column < 0.7


def test_nothing_to_draw(tmp_path):
    with pytest.raises(UserError, match="no latency"):
        draw_latency_error([], [], [], tmp_path / "error.png")
