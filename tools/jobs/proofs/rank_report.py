"""The page of a ranking: how well each ranker agrees with the trainings, the archs, the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.report.html import REPORT, Picture, Section, write_report
from evaluation.tables import Table
from search.gain.ways import WaysCompared, ways_cells, ways_title
from search.ranking.analysis import FLOPS, GROUNDS, TEST, RankedArch, Verdict
from search.ranking.table import arch_cells, verdict_cells, verdict_notes, verdict_title
from tools.jobs.proofs.page_parts import ending

CAPTION = (
    "Each dot is an arch: its stand-alone score, with a bar over its seeds, against the ranker's score. "
    "A perfect ranker's dots lie on a rising line."
)


def write_rank_report(
    out: Path,
    picture: Path,
    ranked: Sequence[RankedArch],
    verdicts: Mapping[str, Verdict],
    ways: Sequence[WaysCompared],
    notes: tuple[str, ...],
    settings: Mapping[str, Any],
) -> Path:
    """Writes ``report.html`` into ``out`` and returns its path.

    Args:
        picture: of the rankings, already drawn.
        verdicts: by ground (``GROUNDS``).
        notes: lines below the table of archs.
        settings: everything that the ranking depends on, for YAML.
    """
    sections = []
    for ground in GROUNDS:
        title = verdict_title(ground, len(ranked))
        head, *lines = verdict_cells(verdicts[ground], len(ranked))
        table = Table(head, tuple(lines), notes=tuple(verdict_notes(verdicts[ground], ranked)))
        drawn = (Picture(picture, CAPTION),) if ground == TEST else ()
        sections.append(Section(title[0].upper() + title[1:], table=table, pictures=drawn))
    head, *lines = arch_cells(ranked)
    words = "mAP in %: of stand-alone trainings, the mean over seeds, and with each supernet's weights."
    sections.append(Section("The archs", (words,), Table(head, tuple(lines), notes=notes)))
    for each in ways:
        table = Table(("weights", "mAP %", "difference"), tuple(ways_cells(each)))
        sections.append(Section(f"Ways to weights: {each.supernet}", (ways_title(each),), table))
    sections += ending(settings)
    return write_report(out / REPORT, f"Ranking of {len(ranked)} archs", _cards(ranked, verdicts[TEST]), sections)


def _cards(ranked: Sequence[RankedArch], verdict: Verdict) -> list[tuple[str, str]]:
    cards = [("Archs", str(len(ranked)))]
    for label in (*ranked[0].supernets, FLOPS):
        tau = verdict.rankers[label].tau
        words = "no order" if tau is None else str(tau)
        cards.append((f"Kendall's tau of {label}", words))
    if verdict.ceiling is not None:
        cards.append(("Tau of a perfect ranker", f"{verdict.ceiling.tau:.2f}"))
    return cards
