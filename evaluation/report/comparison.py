"""The page on the outcome of a search: the table, accuracy against cost, the search, the network found."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.comparison.groups import comparable
from evaluation.comparison.row import ResultRow
from evaluation.comparison.table import compare
from evaluation.pictures.architecture import box_words, draw_architecture
from evaluation.pictures.costs import CostDot, draw_costs
from evaluation.pictures.front import draw_front, scored_candidates
from evaluation.pictures.search_progress import draw_search_progress
from evaluation.report.configurations import configuration_section
from evaluation.report.history import read_histories
from evaluation.report.html import Picture, Section, write_report
from evaluation.report.training import CURVES, training_section
from supernet.files import NamedArch

NOT_COMPARABLE = " Not all of these networks can be compared; the notes below the table say which."
"""Appended to the caption of a picture that shows incomparable rows together."""

PICTURES = "pictures"
"""Folder beside the page in which the pictures are also kept as files."""

OURS = re.compile(r"(front|latency|search_progress|architecture|training-\d+)\.png")
"""File names of a comparison's pictures there."""


def write_comparison_report(
    path: Path,
    rows: Sequence[ResultRow],
    candidates: Sequence[Mapping[str, Any]] | None = None,
    arch: NamedArch | None = None,
    commands: Sequence[str] = (),
    configs: Sequence[Mapping[str, Any] | None] = (),
    title: str = "Comparison of person re-identification backbones",
    about: Sequence[str] = (),
    runs: Sequence[Path] = (),
) -> Path:
    """Draws the pictures into ``pictures/`` beside ``path``, writes the page that embeds them, and returns
    ``path``. Pictures of an earlier comparison there, of more runs or of a search, are removed.

    Args:
        rows: results in the order of the table.
        candidates: what the search evaluated: mappings with ``trial``, ``score`` (fraction or None) and
            ``flops``.
        arch: the network found, to be drawn.
        commands: the commands that made these results, one a line.
        configs: the resolved configuration of each row's run, in their order; None where it has none.
        about: paragraphs in front of the table: the data, the protocol, what the figures do not show.
        runs: the folder of each row's run, in their order; where something was trained in it the page shows how it
            went. None: the page has no trainings.

    Raises:
        UserError: there is no row, or a run's ``doctor.json`` is damaged.
    """
    path = Path(path)
    folder = path.parent / PICTURES
    scored = scored_candidates(candidates or ())
    front = draw_front(rows, folder / "front.png", scored)
    text = "mAP on the test set against FLOPs of one image." + ("" if comparable(rows) else NOT_COMPARABLE)
    if any(row.mAP_spread is not None for row in rows):
        text += " Bars: standard deviation over seeds, up and down."
    if scored:
        text += (
            " Right: candidates of the search, scored with the supernet's weights on held-out identities;"
            " the scales differ."
        )
    costs = (Picture(front, text), *_latency(rows, folder / "latency.png"))
    sections = [
        Section("Results", tuple(about), table=compare(rows)),
        Section("Accuracy against cost", pictures=costs),
    ]
    if scored:
        progress = draw_search_progress(scored, folder / "search_progress.png")
        caption = f"{len(scored)} candidates with a score, of {len(candidates or ())} tried."
        sections.append(Section("The search", pictures=(Picture(progress, caption),)))
    if arch:
        drawing = draw_architecture(arch.arch, folder / "architecture.png", arch.name)
        caption = f"Height of a box: square root of its channels. Colour: kernel. In it: {box_words(arch.arch)}."
        sections.append(Section("The network found", pictures=(Picture(drawing, caption),)))
    for number, (row, run) in enumerate(zip(rows, runs, strict=bool(runs)), start=1):
        histories = read_histories(run)
        if histories:
            picture = folder / f"training-{number}.png"
            drawn = (run / CURVES, picture)
            sections.append(training_section(f"Training of {row.name}", histories, picture, drawn))
    if commands:
        sections.append(Section("Commands", code="\n".join(commands)))
    settings = configuration_section([row.name for row in rows], configs) if configs else None
    if settings:
        sections.append(settings)
    write_report(path, title, summary_of(rows, len(scored)), sections)
    _remove_others(folder, {picture.path.name for section in sections for picture in section.pictures})
    return path


def _remove_others(folder: Path, drawn: Collection[str]) -> None:
    for picture in folder.iterdir():
        if OURS.fullmatch(picture.name) and picture.name not in drawn:
            picture.unlink()


def _latency(rows: Sequence[ResultRow], path: Path) -> tuple[Picture, ...]:
    """Accuracy against latency if it was measured for every row; for only some it would mislead."""
    if len(rows) < 2 or any(row.latency_ms is None for row in rows):
        return ()
    dots = [CostDot(row.name, row.kind, row.mAP, row.mAP_spread, row.flops, row.latency_ms) for row in rows]
    alike = comparable(rows)
    text = "mAP on the test set against FLOPs and latency." + ("" if alike else NOT_COMPARABLE)
    return (Picture(draw_costs(dots, path, "as in the table", alike), text),)


def summary_of(rows: Sequence[ResultRow], candidates: int = 0) -> list[tuple[str, str]]:
    """The cards at the top of the page, all worked out from ``rows``."""
    cards = [
        ("Networks compared", str(len(rows))),
        ("Trained on", ", ".join(dict.fromkeys(row.train_set for row in rows))),
    ]
    if comparable(rows):
        best, cheapest = max(rows, key=lambda row: row.mAP), min(rows, key=lambda row: row.flops)
        cards.insert(0, ("Best mAP", f"{100 * best.mAP:.1f} %, {best.name}"))
        cards.insert(1, ("Fewest FLOPs", f"{cheapest.flops / 1e6:.1f} M, {cheapest.name}"))
    if candidates:
        cards.append(("Candidates scored by the search", str(candidates)))
    return cards
