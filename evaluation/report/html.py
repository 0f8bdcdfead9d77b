"""One HTML page with everything in it: no script, no network, light or dark as the reader's system is."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from evaluation.report.css import CSS
from evaluation.tables import Table
from reid.errors import UserError
from reid.files import write_text

REPORT = "report.html"
"""File name of the page in a run folder."""


@dataclass(frozen=True)
class Picture:
    """A PNG file to embed, and the line below it."""

    path: Path
    caption: str = ""


@dataclass(frozen=True)
class Words:
    """A table of text, whose lines may break.

    Attributes:
        headers: of the columns; all empty for none.
        rows: cells as text.
        marks: a word for each row, shown in a frame before the cell in column ``marked``; ``warning`` and ``critical``
            have their own colours. No frame if empty.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[str, ...] = ()
    marked: int = 0


@dataclass(frozen=True)
class Link:
    """A link to another file of the same run: ``target`` is a path relative to the page, with ``/``."""

    text: str
    target: str


@dataclass(frozen=True)
class Section:
    """A part of the page, in this order: heading, paragraphs, tables of numbers and of text, pictures, links, block of
    commands or configuration.

    Attributes:
        fold: if not empty, the block is collapsed below this line.
    """

    heading: str
    paragraphs: tuple[str, ...] = ()
    table: Table | None = None
    pictures: tuple[Picture, ...] = ()
    code: str = ""
    words: Words | None = None
    links: tuple[Link, ...] = ()
    fold: str = ""


def write_report(path: Path, title: str, summary: Sequence[tuple[str, str]], sections: Sequence[Section]) -> Path:
    """Writes the page atomically and returns its path; all text is escaped, pictures are embedded.

    Args:
        summary: ``(label, value)`` pairs shown as cards at the top.

    Raises:
        UserError: a picture does not exist or is no PNG.
    """
    cards = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>" for label, value in summary)
    body = "\n".join(_section(section) for section in sections)
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        + (f"<dl>{cards}</dl>\n" if summary else "")
        + f"{body}\n</body>\n</html>\n"
    )
    return write_text(Path(path), page)


def _section(section: Section) -> str:
    parts = [f"<h2>{escape(section.heading)}</h2>"]
    parts += [f"<p>{escape(paragraph)}</p>" for paragraph in section.paragraphs]
    if section.table:
        parts.append(_table(section.table))
    if section.words:
        parts.append(_words(section.words))
    parts += [_picture(picture) for picture in section.pictures]
    if section.links:
        parts.append(_links(section.links))
    if section.code:
        code = f"<pre><code>{escape(section.code)}</code></pre>"
        folded = f"<details><summary>{escape(section.fold)}</summary>\n{code}\n</details>"
        parts.append(folded if section.fold else code)
    return "<section>\n" + "\n".join(parts) + "\n</section>"


def _table(table: Table) -> str:
    lines = []
    for index, cells in enumerate(table.cells):
        marks = (_mark((index, place) in table.best, 0 < place < table.words) for place in range(len(cells)))
        row = "".join(f"<td{mark}>{escape(cell)}</td>" for mark, cell in zip(marks, cells, strict=True))
        lines.append(f"<tr>{row}</tr>")
    notes = "".join(f'\n<p class="note">{escape(note)}</p>' for note in table.notes)
    rows = "\n".join(lines)
    head = _head(table.headers, table.words)
    return f'<div class="scroll"><table>\n{head}\n<tbody>\n{rows}\n</tbody>\n</table></div>{notes}'


def _mark(best: bool, text: bool) -> str:
    classes = " ".join(["best"] * best + ["text"] * text)
    return f' class="{classes}"' if classes else ""


def _words(words: Words) -> str:
    lines = []
    for index, row in enumerate(words.rows):
        cells = [escape(cell) for cell in row]
        if words.marks:
            mark = escape(words.marks[index])
            cells[words.marked] = f'<span class="mark is-{mark}">{mark}</span>{cells[words.marked]}'
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    rows = "\n".join(lines)
    head = _head(words.headers)
    return f'<div class="scroll"><table class="words">\n{head}\n<tbody>\n{rows}\n</tbody>\n</table></div>'


def _head(headers: Sequence[str], words: int = 0) -> str:
    if not any(headers):
        return ""
    marks = (_mark(False, 0 < place < words) for place in range(len(headers)))
    cells = "".join(f'<th scope="col"{mark}>{escape(text)}</th>' for mark, text in zip(marks, headers, strict=True))
    return f"<thead><tr>{cells}</tr></thead>"


def _links(links: Sequence[Link]) -> str:
    lines = (f'<li><a href="{quote(link.target)}">{escape(link.text)}</a></li>' for link in links)
    return f'<ul class="links">{"".join(lines)}</ul>'


def _picture(picture: Picture) -> str:
    try:
        data = Path(picture.path).read_bytes()
    except OSError:
        raise UserError(f"picture {picture.path} does not exist; draw it before the report is written") from None
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise UserError(f"picture {picture.path} is not a PNG file; draw it again")
    encoded = base64.b64encode(data).decode("ascii")
    text = escape(picture.caption)
    caption = f"<figcaption>{text}</figcaption>" if text else ""
    return f'<figure><img alt="{text}" src="data:image/png;base64,{encoded}">{caption}</figure>'
