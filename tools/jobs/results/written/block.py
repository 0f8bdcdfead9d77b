"""A part of an experiment's written results, and its Markdown form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.tables import markdown


@dataclass(frozen=True)
class Block:
    """A part of the text. The fields from ``heading`` to ``links`` come first, then ``points`` and ``note``; empty ones
    are left out.

    Attributes:
        heading: empty for the first part.
        about: a paragraph.
        headers, lines: of a table, as text.
        words: number of columns, from the left, that are words; the others are numbers.
        code: indices of the columns that hold commands or paths.
        links: indices of the columns that link to a file beside the text.
        points: a list.
        note: a last paragraph.
    """

    heading: str = ""
    about: str = ""
    headers: tuple[str, ...] = ()
    lines: tuple[tuple[str, ...], ...] = ()
    words: int = 1
    code: frozenset[int] = frozenset()
    links: frozenset[int] = frozenset()
    points: tuple[str, ...] = ()
    note: str = ""


def to_markdown(blocks: Sequence[Block]) -> str:
    """All blocks as Markdown, one below the other."""
    return "\n\n".join(part for block in blocks for part in _parts(block)) + "\n"


def _parts(block: Block) -> list[str]:
    parts = [f"### {block.heading}" if block.heading else "", block.about]
    lines = [[_cell(block, place, cell) for place, cell in enumerate(line)] for line in block.lines]
    parts += [markdown([block.headers, *lines], block.words) if block.headers else ""]
    parts += ["\n".join(f"- {point}" for point in block.points), block.note]
    return [part for part in parts if part]


def _cell(block: Block, place: int, text: str) -> str:
    shown = f"`{text}`" if place in block.code else text
    return f"[{shown}]({text})" if place in block.links else shown
