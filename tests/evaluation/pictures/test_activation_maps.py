"""Activation maps as they are drawn, read back from the pixels."""

from __future__ import annotations

import matplotlib
import numpy as np
from PIL import Image

from evaluation.pictures.activation_maps import GAP, LINE, MARGIN, ActivationTile, draw_activation_maps, heat, overlay
from evaluation.pictures.sheet import BORDER

STRENGTH = np.linspace(0, 1, 128 * 64).reshape(128, 64)
PIXELS = np.random.default_rng(0).integers(0, 256, (128, 64, 3), dtype=np.uint8)


def test_colours_are_turbo_and_half_over_the_grey_image():
    turbo = np.array(matplotlib.colormaps["turbo"].colors)
    np.testing.assert_allclose(heat(np.array([[0.0, 1.0]]))[0], turbo[[0, -1]] * 255, atol=1)
    found = overlay(PIXELS, STRENGTH)
    for row, column in ((0, 0), (70, 12), (127, 63)):
        grey = PIXELS[row, column] @ [0.299, 0.587, 0.114]
        colour = turbo[min(int(STRENGTH[row, column] * 256), 255)] * 255
        np.testing.assert_allclose(found[row, column], (grey + colour) / 2, atol=1.1)


def test_image_map_and_both_stand_side_by_side(tmp_path):
    tiles = [ActivationTile(PIXELS, strength, "person 7, camera 2") for strength in (STRENGTH, STRENGTH[::-1])] * 2
    path = draw_activation_maps(tiles, tmp_path / "maps.png", ["found on south."])
    pixels = np.asarray(Image.open(path).convert("RGB"))
    step = 64 + 2 * BORDER + GAP
    x, y = MARGIN + BORDER, MARGIN + LINE + BORDER
    second = x + 3 * step - GAP + 3 * GAP
    for left, strength in ((x, STRENGTH), (second, STRENGTH[::-1])):
        for place, expected in enumerate((PIXELS, heat(strength), overlay(PIXELS, strength))):
            shown = pixels[y : y + 128, left + place * step : left + place * step + 64]
            np.testing.assert_array_equal(shown, expected)
    assert path.read_bytes() == draw_activation_maps(tiles, tmp_path / "again.png", ["found on south."]).read_bytes()
