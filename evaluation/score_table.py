"""An evaluation as text for a terminal: scores, the rules they were computed by, ROC and threshold."""

from __future__ import annotations

from evaluation.protocols import Evaluation
from evaluation.retrieval.scores import SCORE_WORDS, ReidScore
from evaluation.retrieval.single_shot import SingleShotScore
from evaluation.verification import VerificationScore


def score_table(evaluation: Evaluation) -> str:
    """The whole evaluation, in percent."""
    lines = [first.ljust(16) + "".join(cell.rjust(14) for cell in cells) for first, *cells in score_cells(evaluation)]
    lines += [f"  {rule}" for rule in evaluation.rules]
    if evaluation.verification is not None:
        lines += ["", *verification_lines(evaluation.verification)]
    if evaluation.threshold is not None:
        lines += ["", *threshold_lines(evaluation)]
    return "\n".join([*lines, *(f"note: {note}" for note in evaluation.notes)])


def score_cells(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """The scores in percent and the numbers of queries: a header, then a line for each score."""
    columns: dict[str, ReidScore | SingleShotScore] = {"retrieval": evaluation.score}
    if evaluation.reranked is not None:
        columns["re-ranked"] = evaluation.reranked
    if evaluation.single_shot is not None:
        columns["single shot"] = evaluation.single_shot
    lines = [("", *columns)]
    for field, name in SCORE_WORDS.items():
        values = (getattr(score, field, None) for score in columns.values())
        lines.append((name, *("-" if value is None else percent(value) for value in values)))
    for name, field in (("queries counted", "queries"), ("left out", "skipped_queries")):
        lines.append((name, *(f"{getattr(score, field):,}" for score in columns.values())))
    return lines


def verification_lines(score: VerificationScore) -> list[str]:
    """AUC, EER, and the true-positive rate at each false-match rate."""
    lines = [
        f"same person or not, {score.genuine:,} genuine and {score.impostors:,} impostor pairs: "
        f"AUC {percent(score.auc)}, EER {percent(score.eer)}"
    ]
    if score.tpr_at_fmr:
        rates = ", ".join(f"{percent(tpr)} at {rate:g}" for rate, tpr in score.tpr_at_fmr.items())
        lines.append(f"  TPR at a false-match rate: {rates}")
    return lines


def threshold_lines(evaluation: Evaluation) -> list[str]:
    """The threshold, if there is one, its target rate, and its rates on the calibration data and on the test set."""
    threshold, rates = evaluation.threshold, evaluation.threshold_rates
    return [
        f"same person up to a {threshold.metric} distance of {threshold.distance:.4g}, set for a false-match rate of "
        f"{threshold.false_match_rate:g}",
        f"  where it was set: FMR {threshold.fmr:.2e}, TPR {percent(threshold.tpr)} "
        f"({threshold.genuine:,} genuine, {threshold.impostors:,} impostor pairs)",
        f"  on the test set:  FMR {rates.fmr:.2e}, TPR {percent(rates.tpr)} "
        f"({rates.genuine:,} genuine, {rates.impostors:,} impostor pairs)",
    ]


def percent(share: float) -> str:
    """``"16.3 %"``."""
    return f"{100 * share:.1f} %"
