"""One HTML page with everything in it: no script, no network, light or dark as the reader's system is."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from evaluation.comparison import Table
from reid.errors import UserError
from reid.files import write_text

REPORT = "report.html"
"""What a run's page is called in its folder."""

CSS = """
:root { color-scheme: light dark; --ink: #24292f; --soft: #5d666f; --line: #dde1e6; --page: #ffffff;
        --card: #f5f7f9; --accent: #1f6fb2; --warning: #9a6700; --critical: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e7eb; --soft: #9aa5b0; --line: #343b43; --page: #16191d; --card: #1f242a;
          --accent: #6fb3e8; --warning: #e0b04a; --critical: #f0857d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2.5rem 1.25rem 4rem; background: var(--page);
       color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1.25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line);
     overflow-wrap: anywhere; }
p { margin: .6rem 0; max-width: 46rem; }
dl { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0; }
dl div { flex: 1 1 9.5rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
         padding: .6rem .85rem; }
dt { color: var(--soft); font-size: .8rem; }
dd { margin: 0; font-size: 1.05rem; font-weight: 600; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .38rem 1rem .38rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child, th.text, td.text { text-align: left; }
td.best { color: var(--accent); font-weight: 700; }
table.words { width: 100%; line-height: 1.4; }
table.words th, table.words td { text-align: left; vertical-align: top; white-space: normal; min-width: 6rem; }
.mark { display: inline-block; margin-right: .5rem; padding: 0 .4rem; border: 1px solid currentColor;
        border-radius: .3rem; font-size: .78rem; font-weight: 600; color: var(--soft); }
.mark.is-warning { color: var(--warning); }
.mark.is-critical { color: var(--critical); }
.note { color: var(--soft); font-size: .88rem; white-space: pre-wrap; margin: .3rem 0; }
ul.links { columns: 16rem; padding-left: 1.2rem; }
a { color: var(--accent); overflow-wrap: anywhere; }
summary { color: var(--accent); cursor: pointer; }
figure { margin: 1rem 0; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
             border-radius: .5rem; }
figcaption { color: var(--soft); font-size: .88rem; margin-top: .4rem; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem;
      overflow-x: auto; font-size: .85rem; line-height: 1.45; }
"""


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
            have a colour of their own. None where empty.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[str, ...] = ()
    marked: int = 0


@dataclass(frozen=True)
class Link:
    """Leads to another file of the same run: ``target`` is a path relative to the page, with ``/``."""

    text: str
    target: str


@dataclass(frozen=True)
class Section:
    """A part of the page, in this order: heading, paragraphs, tables of numbers and of text, pictures, links, block of
    commands or configuration.

    Attributes:
        fold: where it is not empty, the block is folded away below this line.
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
        raise UserError(f"picture {picture.path} is no PNG file")
    encoded = base64.b64encode(data).decode("ascii")
    text = escape(picture.caption)
    caption = f"<figcaption>{text}</figcaption>" if text else ""
    return f'<figure><img alt="{text}" src="data:image/png;base64,{encoded}">{caption}</figure>'
