"""Scores of a retrieval: AP by its two definitions, CMC and mINP, per query and as means."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from evaluation.retrieval.ranks import HitRanks

SCORE_WORDS = {
    "mAP": "mAP (step)",
    "mAP_trapezoid": "mAP (trapezoid)",
    "rank1": "Rank-1",
    "rank5": "Rank-5",
    "rank10": "Rank-10",
    "rank20": "Rank-20",
    "mINP": "mINP",
}
"""Displayed names of a score's fields, in the order of display."""


@dataclass(frozen=True)
class ReidScore:
    """Scores as fractions in 0..1, means over the counted queries.

    Attributes:
        mAP: step-wise average precision, the mean of the precision at each hit (torchreid, fast-reid, most
            papers).
        mAP_trapezoid: average precision as the area under the linearly joined precision-recall curve (the
            MATLAB toolbox).
        rank1: share of queries with a right answer in first place; ``rank5``, ``rank10``, ``rank20``
            likewise.
        mINP: right answers divided by the rank of the last of them (Ye et al. 2021, "Deep Learning for Person
            Re-ID").
        queries: queries counted.
        skipped_queries: queries left out because the gallery holds no right answer for them.
    """

    mAP: float
    mAP_trapezoid: float
    rank1: float
    rank5: float
    rank10: float
    rank20: float
    mINP: float
    queries: int
    skipped_queries: int

    def as_dict(self) -> dict[str, float | int]:
        return asdict(self)

    def __str__(self) -> str:
        """One line in percent, each AP by its name."""
        line = ", ".join(f"{word} {100 * getattr(self, field):.1f} %" for field, word in SCORE_WORDS.items())
        return f"{line}; {self.queries} queries, {self.skipped_queries} left out (no right answer in the gallery)"


@dataclass(frozen=True, eq=False)
class QueryScores:
    """The scores of each counted query; ``ReidScore`` holds their means.

    Attributes:
        counted: ``(C,) int64``, which queries they are.
        ap: ``(C,) float64`` step-wise average precision.
        ap_trapezoid: ``(C,) float64`` average precision by the trapezoid.
        inp: ``(C,) float64``, right answers divided by the rank of the last of them.
        first_rank: ``(C,) int64``, rank of the first right answer, from 1.
    """

    counted: np.ndarray
    ap: np.ndarray
    ap_trapezoid: np.ndarray
    inp: np.ndarray
    first_rank: np.ndarray


def score_queries(hits: HitRanks) -> QueryScores:
    """The scores of each counted query from the ranks of its right answers."""
    counts, ranks = hits.counts, hits.ranks
    starts = np.cumsum(counts) - counts
    number = np.arange(len(ranks)) - np.repeat(starts, counts) + 1  # 1 for a query's first hit, 2 for its second, ...
    precision = number / ranks
    # Precision one place before the hit; the toolbox starts from precision 1 at recall 0.
    earlier = np.where(ranks > 1, (number - 1) / np.maximum(ranks - 1, 1), 1.0)
    return QueryScores(
        counted=hits.counted,
        ap=np.add.reduceat(precision, starts) / counts,
        ap_trapezoid=np.add.reduceat((precision + earlier) / 2, starts) / counts,
        inp=counts / ranks[starts + counts - 1],
        first_rank=ranks[starts],
    )


def mean_score(scores: QueryScores, skipped: int = 0) -> ReidScore:
    """The means over at least one counted query; ``skipped`` are the queries that were left out."""
    return ReidScore(
        mAP=_mean(scores.ap),
        mAP_trapezoid=_mean(scores.ap_trapezoid),
        rank1=_mean(scores.first_rank <= 1),
        rank5=_mean(scores.first_rank <= 5),
        rank10=_mean(scores.first_rank <= 10),
        rank20=_mean(scores.first_rank <= 20),
        mINP=_mean(scores.inp),
        queries=len(scores.counted),
        skipped_queries=skipped,
    )


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values, dtype=np.float64))
