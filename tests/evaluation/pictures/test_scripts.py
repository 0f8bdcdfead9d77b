"""Names in scripts that matplotlib's own font has not: no empty boxes, whatever fonts are installed."""

from __future__ import annotations

import warnings

import pytest
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.text import Text

from evaluation.pictures.gain import GainDot, GainPanel, draw_gain
from evaluation.pictures.labels import place_labels
from evaluation.pictures.scripts import _letters, make_legible
from evaluation.pictures.sheet import Sheet
from evaluation.pictures.style import new_figure, save_figure, style_axes

NOWHERE = "\U0010fffd"
"""For private use: no font has it but those that have a box for everything."""


def test_a_letter_of_another_font_is_drawn_in_that():
    own, other = (_letters(findfont(FontProperties(family=name))) for name in ("DejaVu Sans", "STIXGeneral"))
    letter = chr(min(other - own))
    text = Text(text=f"a {letter}")
    make_legible([text])
    family = text.get_fontfamily()
    assert text.get_text() == f"a {letter}" and family[0] == "sans-serif" and len(family) == 2
    assert ord(letter) in _letters(findfont(FontProperties(family=family[1])))


def test_a_letter_of_no_font_is_escaped_and_others_are_left():
    texts = [Text(text=words) for words in (f"é {NOWHERE}1", "Иван", "plain")]
    make_legible(texts)
    assert [text.get_text() for text in texts] == ["é \\U0010fffd1", "Иван", "plain"]
    assert all(text.get_fontfamily() == ["sans-serif"] for text in texts)


def test_a_second_font_without_bold_is_no_trouble(monkeypatch, caplog):
    """Fonts of many scripts have one weight; matplotlib says so of each text. Of other fonts it still does."""
    monkeypatch.setattr(
        "evaluation.pictures.scripts._font_of", lambda missing: ("STIXSizeFiveSym", frozenset({0x23B4}))
    )
    figure = new_figure(2, 1)
    figure.text(0.1, 0.5, "\u23b4", fontweight="bold")
    findfont.__self__._findfont_cached.cache_clear()
    make_legible(figure.texts)
    figure.canvas.draw()
    assert not caplog.messages
    findfont(FontProperties(family="cmex10", weight="bold"))
    assert "Failed to find font weight bold for cmex10" in caplog.text


@pytest.mark.parametrize("name", ["王伟", NOWHERE])
def test_no_letter_is_missing_in_a_picture(tmp_path, name):
    """Of which matplotlib warns. A label keeps its place: it is as wide as what is drawn."""
    figure = new_figure(4, 3)
    axes = style_axes(figure.subplots(), name, name, name)
    axes.plot([0, 1], label=name)
    axes.legend()
    sheet = Sheet(90, 40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (box,) = place_labels(axes, [(0.5, 0.5)], [name])
        save_figure(figure, tmp_path / "axes.png")
        shown = sheet.words(name * 20, 0, 0, room=80).get_text()
        sheet.save(tmp_path / "sheet.png")
        draw_gain([GainPanel(name, [GainDot(name, "searched", [0.3, 0.4])])], tmp_path / "gain.png")
    assert box.width == pytest.approx(axes.texts[-1].get_window_extent().width, abs=2) and "…" in shown
