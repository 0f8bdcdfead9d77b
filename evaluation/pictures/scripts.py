"""Text in scripts that matplotlib's own font lacks: drawn in an installed font that has them, or escaped."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator

from matplotlib.artist import Artist
from matplotlib.axis import Axis
from matplotlib.font_manager import findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

EVERYTHING = "Last Resort"
"""Prefix of the names of fonts that have an empty box for every letter."""


_SECOND: set[str] = set()
"""Second font families used besides the texts' own."""


def _says_more_than_a_weight(record: logging.LogRecord) -> bool:
    """False for matplotlib's warning that a second font lacks the weight of the first, which nobody needs to know: the
    font installed for a script may have only one weight."""
    weight = str(record.msg).startswith("findfont: Failed to find font weight")
    return not (weight and isinstance(record.args, tuple) and _SECOND.intersection(map(str, record.args)))


logging.getLogger("matplotlib.font_manager").addFilter(_says_more_than_a_weight)


def texts_of(artist: Artist) -> Iterator[Text]:
    """All texts in a picture except tick labels, which are slow to create and nearly always our own numbers and
    words."""
    for child in artist.get_children():
        if isinstance(child, Text):
            yield child
        elif isinstance(child, Axis):
            yield child.label
        else:
            yield from texts_of(child)


def make_legible(texts: Iterable[Text]) -> None:
    """Sets letters that would be drawn as empty boxes in a second font, the installed one that has the most of them;
    letters that no font has are written as ``\\u738b``. Texts whose font has all their letters are left as they are.

    Call it before a picture is laid out, since the replaced letters have other widths.
    """
    for text in texts:
        words = text.get_text()
        missing = frozenset() if words.isascii() else _without(words, findfont(text.get_fontproperties()))
        if missing:
            name, letters = _font_of(missing)
            _SECOND.update([name] if name else [])
            text.set_fontfamily([*text.get_fontfamily(), *([name] if name else [])])
            lost = {ord(letter): _escaped(letter) for letter in missing if ord(letter) not in letters}
            text.set_text(words.translate(lost))


def _without(words: str, font: str) -> frozenset[str]:
    """The letters that the font in a file lacks."""
    return frozenset(letter for letter in words if not letter.isspace() and ord(letter) not in _letters(font))


def _escaped(letter: str) -> str:
    return letter.encode("ascii", "backslashreplace").decode("ascii")


@functools.cache
def _font_of(missing: frozenset[str]) -> tuple[str, frozenset[int]]:
    """Family and letters of the installed font that has the most of ``missing``, by name if several do; an empty name
    if none has any."""
    wanted = {ord(letter) for letter in missing}
    best, letters = "", frozenset()
    for name, file in sorted((font.name, font.fname) for font in fontManager.ttflist):
        if not name.startswith(EVERYTHING) and len(_letters(file) & wanted) > len(letters & wanted):
            best, letters = name, _letters(file)
    return best, letters


@functools.cache
def _letters(file: str) -> frozenset[int]:
    """The code points that a font has; none if the file is gone."""
    try:
        return frozenset(FT2Font(file).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
