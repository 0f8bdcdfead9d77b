"""ROC, equal error rate and threshold over all pairs, testing every pair at every threshold."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from evaluation.retrieval.rules import MARKET1501, MatchRule
from evaluation.vectors.reference.retrieval import Labels


def split_pairs(
    distances: Sequence[Sequence[float]], labels: Labels, rule: MatchRule = MARKET1501
) -> tuple[list[float], list[float]]:
    """Distances of genuine and of impostor pairs; queries of junk or distractor identities make none."""
    genuine, impostors = [], []
    for query, row in enumerate(distances):
        if labels.query_pids[query] in (*rule.junk_pids, *rule.distractor_pids):
            continue
        for verdict, distance in zip(labels.verdicts(query, rule), row, strict=True):
            if verdict == "right":
                genuine.append(distance)
            elif verdict == "wrong":
                impostors.append(distance)
    return genuine, impostors


def roc_points(genuine: Sequence[float], impostors: Sequence[float]) -> list[tuple[float, float]]:
    """False-match and true-positive rate at each distance that occurs, from (0, 0) to (1, 1)."""
    thresholds = sorted({*genuine, *impostors})
    return [(0.0, 0.0), *((_share(impostors, limit), _share(genuine, limit)) for limit in thresholds)]


def equal_error_rate(points: Sequence[tuple[float, float]]) -> float:
    """The rate at which false matches equal misses on the curve, which is linear between its points."""
    for (fmr, tpr), (next_fmr, next_tpr) in zip(points, points[1:], strict=False):
        before, after = fmr + tpr - 1, next_fmr + next_tpr - 1
        if after >= 0:
            return next_fmr - (next_fmr - fmr) * after / (after - before)
    raise ValueError("a curve ends in (1, 1)")


def area(genuine: Sequence[float], impostors: Sequence[float]) -> float:
    """The share of genuine and impostor pairs where the genuine one is nearer; equal ones count half."""
    nearer = sum((one < other) + 0.5 * (one == other) for one in genuine for other in impostors)
    return nearer / (len(genuine) * len(impostors))


def tpr_at(points: Sequence[tuple[float, float]], rate: float) -> float:
    """The greatest true-positive rate at a false-match rate of no more than ``rate``."""
    return max(tpr for fmr, tpr in points if fmr <= rate)


def threshold_at(genuine: Sequence[float], impostors: Sequence[float], rate: str) -> dict[str, float]:
    """The distance below which no more than ``rate`` (a decimal) of the impostor pairs are, as great as can be: the
    nearest impostor distance that is not accepted any more; and the rates of what is nearer than it."""
    allowed = int(Fraction(rate) * len(impostors))
    distance = sorted(impostors)[allowed]
    return {
        "distance": distance,
        "fmr": sum(value < distance for value in impostors) / len(impostors),
        "tpr": sum(value < distance for value in genuine) / len(genuine),
    }


def _share(values: Sequence[float], limit: float) -> float:
    return sum(value <= limit for value in values) / len(values)
