"""The page of an evaluation: scores and the rules that they were computed by, the CMC, ROC and threshold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.comparison.row import ResultRow
from evaluation.comparison.table import compare
from evaluation.protocols import Evaluation
from evaluation.report.html import Picture, Section, Words, write_report
from evaluation.score_table import percent, score_cells, threshold_lines, verification_lines
from evaluation.tables import Table

ABOUT = {
    "network": "network",
    "weights": "weights",
    "weights_sha256": "SHA-256 of the weights",
    "exported_from_sha256": "SHA-256 of the weights that it was exported from",
    "runs_on": "runs on",
    "data": "data",
    "input_size": "input size",
    "flip": "mean with the mirror image",
    "precision": "precision",
}
"""Facts about features, in words and in the order in which they are shown."""


def write_evaluation_report(
    path: Path,
    evaluation: Evaluation,
    about: Mapping[str, Any],
    row: ResultRow | None = None,
    roc: Path | None = None,
    made_by: str = "",
) -> Path:
    """Writes the page and returns its path.

    Args:
        about: facts about the features (``RetrievalFeatures.about``).
        row: the network's result, if FLOPs and parameters are known.
        roc: picture of the ROC, if there is one.
        made_by: command and commit.

    Raises:
        UserError: ``roc`` is no PNG.
    """
    head, *cells = score_cells(evaluation)
    notes = (*evaluation.rules, *(f"note: {note}" for note in evaluation.notes))
    sections = [Section("Scores and CMC", table=Table(head, tuple(cells), notes=notes))]
    lines = verification_lines(evaluation.verification) if evaluation.verification else []
    lines += threshold_lines(evaluation) if evaluation.threshold else []
    if lines:
        caption = "All pairs of query and gallery; the dashed line is chance."
        pictures = (Picture(roc, caption),) if roc else ()
        sections.append(Section("Same person or not", tuple(line.strip() for line in lines), pictures=pictures))
    facts = tuple((words, _text(about[key])) for key, words in ABOUT.items() if key in about)
    if row:
        facts += (("trained on", row.train_set), ("tested on", row.test_set))
    sections.append(Section("What was evaluated", table=compare([row]) if row else None, words=Words(("", ""), facts)))
    if made_by:
        sections.append(Section("Command", code=made_by))
    title = f"Evaluation of {about.get('network', 'saved features')} on {about.get('data', 'data that are not told')}"
    return write_report(path, title, _cards(evaluation, row), sections)


def _cards(evaluation: Evaluation, row: ResultRow | None) -> list[tuple[str, str]]:
    score, reranked = evaluation.score, evaluation.reranked
    cards = [
        ("mAP (step)", percent(score.mAP)),
        ("mAP (trapezoid)", percent(score.mAP_trapezoid)),
        ("Rank-1", percent(score.rank1)),
        ("mINP", percent(score.mINP)),
    ]
    if reranked:
        cards.append(("Re-ranked mAP, Rank-1", f"{percent(reranked.mAP)}, {percent(reranked.rank1)}"))
    if evaluation.verification:
        cards.append(("Equal error rate", percent(evaluation.verification.eer)))
    if evaluation.threshold:
        cards.append(("Threshold", f"{evaluation.threshold.metric} {evaluation.threshold.distance:.4g}"))
    if row:
        cards += [("FLOPs", f"{row.flops / 1e6:.1f} M"), ("Parameters", f"{row.parameters / 1e6:.2f} M")]
    cards.append(("Queries", f"{score.queries:,}"))
    return cards


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
