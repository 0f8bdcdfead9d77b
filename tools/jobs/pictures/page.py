"""The page of a network's pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.report.html import Picture, Section, write_report
from evaluation.retrieval.labeled_features import RetrievalFeatures
from evaluation.retrieval.scores import ReidScore
from tools.jobs.runs.provenance import made_by

PAGE = "index.html"


@dataclass(frozen=True)
class Drawn:
    """Pictures of one kind.

    Attributes:
        heading: names the kind.
        about: a line on what was chosen.
        paths: of the PNG files.
        facts: contents of the ranked lists; see ``tools.jobs.pictures.lists.list_facts``.
    """

    heading: str
    about: str
    paths: tuple[Path, ...]
    facts: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, eq=False)
class Drawing:
    """All pictures of a request.

    Attributes:
        drawn: by kind.
        notes: why a kind was left out that was not requested by name.
        score: over all queries, if they were ranked.
    """

    drawn: tuple[Drawn, ...]
    notes: tuple[str, ...]
    score: ReidScore | None


def write_page(
    out: Path, drawing: Drawing, features: RetrievalFeatures, train_set: str, real: bool, notes: Sequence[str]
) -> Path:
    """Writes ``index.html``, which embeds the pictures, into ``out`` and returns its path."""
    about, score = features.about, drawing.score
    cards = [
        ("Network", str(about["network"])),
        ("Trained on", train_set),
        ("Persons of", str(about["data"])),
        ("Queries, gallery", f"{len(features.query)}, {len(features.gallery)}"),
        *([("mAP, Rank-1", f"{100 * score.mAP:.1f} %, {100 * score.rank1:.1f} %")] if score else []),
    ]
    private = ("This page shows real persons: keep it private.",) if real else ()
    sections = [
        Section(
            each.heading,
            (*((each.about,) if each.about else ()), *private),
            pictures=tuple(Picture(path, path.name) for path in each.paths),
        )
        for each in drawing.drawn
    ]
    sections.append(Section("Command", tuple(notes), code=made_by()))
    return write_report(out / PAGE, f"Pictures of {about['network']} on {about['data']}", cards, sections)
