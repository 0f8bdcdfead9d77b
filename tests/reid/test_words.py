"""Numbers of things in words."""

from __future__ import annotations

import pytest

from reid.words import counted


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 epochs"),
        (1, "1 epoch"),
        (2, "2 epochs"),
        (1.0, "1 epoch"),
        (0.5, "0.5 epochs"),
        (12.0, "12 epochs"),
        (10**9, "1000000000 epochs"),
    ],
)
def test_one_thing_and_several(number, words):
    assert counted(number, "epoch") == words
