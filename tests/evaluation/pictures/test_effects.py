"""Where the bars of a picture of effects stand; what is drawn is seen in ``tests/tools/test_explain.py``."""

from __future__ import annotations

import pytest

from evaluation.pictures.effects import GAP, bar_places, draw_effects
from reid.errors import UserError


def test_bars_stand_apart_and_an_empty_picture_is_refused(tmp_path):
    assert bar_places([2, 1, 3]) == [[0, 1], [2 + GAP], [3 + 2 * GAP, 4 + 2 * GAP, 5 + 2 * GAP]]
    option = {"option": 8, "candidates": 20, "effect": None, "error": None}
    with pytest.raises(UserError, match="same options"):
        draw_effects({"r2": 0.0, "dimensions": [{"name": "stem", "share": 0, "options": [option]}]}, tmp_path / "x.png")
