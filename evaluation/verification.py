"""Are two images of the same person? The ROC of distances over all pairs of query and gallery.

A pair of a query and a right answer is genuine, a pair of two identities is an impostor pair; distractors make impostor
pairs. Images that the retrieval passes over (junk, the query's identity at its own camera) make no pairs, nor do
queries of junk or distractor identities. A pair is accepted as the same person if its distance is at most a threshold.

The curve is exact, whatever the number of impostor pairs: it is stored at the distances of the genuine pairs, which are
few, since the share of accepted genuine pairs changes only there. Impostor distances are computed a block at a time,
sorted, counted and dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from evaluation.retrieval.distances import distance_blocks
from evaluation.retrieval.labeled_features import RetrievalFeatures
from evaluation.retrieval.matching import Matching, match
from reid.errors import UserError

RATES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""False-match rates that are reported if there are enough impostor pairs to measure them."""

_BLOCK = 1 << 22
"""Distances held at once, though always a query's whole row."""


class Pairs:
    """The distances of all pairs of ``features``, genuine or impostor.

    Attributes:
        metric: ``"cosine"`` (``1 - cos``) or ``"euclidean"``.
        impostors: number of impostor pairs.

    Raises:
        UserError: as ``evaluation.retrieval.metrics.score_features``; or there are no genuine or no impostor pairs.
    """

    def __init__(self, features: RetrievalFeatures, metric: str) -> None:
        rule, query, gallery = features.rule, features.query, features.gallery
        nobody = np.isin(query.pids.numpy(), (*rule.junk_pids, *rule.distractor_pids))
        if nobody.any():
            query = query.select(query.pids.new_tensor(np.flatnonzero(~nobody)))
        self.metric = metric
        self._matching = match(query.pids, query.camids, gallery.pids, gallery.camids, rule, query.ids, gallery.ids)
        columns = query.pids.new_tensor(self._matching.columns).to(gallery.features.device)
        self._query, self._gallery = query.features, gallery.features[columns]
        same = int((self._matching.last - self._matching.first).sum())
        self.impostors = len(query) * len(columns) - same
        if not self.impostors:
            raise UserError("no query and gallery image show two different persons: there is nothing to verify")
        self.genuine_distances = np.sort(
            np.concatenate([block[rows[~junk], places[~junk]] for block, rows, places, junk in self._blocks()])
        )
        if not len(self.genuine_distances):
            raise self._matching.nothing_right()

    @property
    def genuine(self) -> int:
        """Number of genuine pairs."""
        return len(self.genuine_distances)

    def impostor_distances(self) -> Iterator[np.ndarray]:
        """Sorted float32 distances of the impostor pairs, for a few queries at a time."""
        for block, rows, places, _ in self._blocks():
            block[rows, places] = np.inf  # sorted to the end
            values = np.sort(block, axis=None)
            yield values[: len(values) - len(rows)]

    def _blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        matching: Matching = self._matching
        start, block = 0, max(1, _BLOCK // max(len(self._gallery), 1))
        for distances in distance_blocks(self._query, self._gallery, self.metric, block):
            stop = start + len(distances)
            yield distances.cpu().numpy(), *matching.same_identity(start, stop)
            start = stop


@dataclass(frozen=True, eq=False)
class Roc:
    """Numbers of accepted pairs at the distinct distances of genuine pairs.

    Attributes:
        metric: of the distances.
        distances: ``(U,) float32``, ascending.
        accepted: ``(U,) int64``, genuine pairs at this distance or nearer.
        nearer: ``(U,) int64``, impostor pairs nearer than this distance.
        false: ``(U,) int64``, impostor pairs at this distance or nearer.
        genuine, impostors: number of all pairs.
    """

    metric: str
    distances: np.ndarray
    accepted: np.ndarray
    nearer: np.ndarray
    false: np.ndarray
    genuine: int
    impostors: int

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """False-match rates and true-positive rates, ``(2U + 2,) float64`` each, of the curve's corners from ``(0, 0)``
        to ``(1, 1)``, joined by straight lines. Where pairs of both kinds have the same distance, the line is slanted,
        as in scikit-learn's ``roc_curve``."""
        rates = np.stack([self.nearer, self.false], axis=1).ravel() / self.impostors
        found = np.stack([np.concatenate([[0], self.accepted[:-1]]), self.accepted], axis=1).ravel() / self.genuine
        return np.concatenate([[0.0], rates, [1.0]]), np.concatenate([[0.0], found, [1.0]])

    def tpr_at(self, rate: float) -> float:
        """The greatest true-positive rate of a threshold whose false-match rate is at most ``rate``; nothing is
        interpolated."""
        count = np.count_nonzero(self.false / self.impostors <= rate)
        return float(self.accepted[count - 1] / self.genuine) if count else 0.0

    def sampled(self, count: int = 61) -> dict[str, list[float]]:
        """``tpr_at`` at ``count`` false-match rates, in equal ratios from one impostor pair to all."""
        rates = np.geomspace(1 / self.impostors, 1, count).tolist()
        return {"fmr": rates, "tpr": [self.tpr_at(rate) for rate in rates]}

    def area(self) -> float:
        """Area under the curve: the chance that a genuine pair is nearer than an impostor pair, equal ones half."""
        own = np.diff(self.accepted, prepend=0)
        beaten = int(np.sum(own * (self.nearer + self.false)))  # twice the impostors that are not farther
        return 1 - beaten / (2 * self.genuine * self.impostors)

    def equal_error_rate(self) -> float:
        """The rate at which the shares of false matches and of misses are equal."""
        rates, found = self.points()
        excess = rates + found - 1
        after = int(np.argmax(excess >= 0))
        rise = excess[after] - excess[after - 1]
        return float(rates[after] - (rates[after] - rates[after - 1]) * excess[after] / rise)


@dataclass(frozen=True)
class VerificationScore:
    """Attributes:
    metric: of the distances.
    tpr_at_fmr: true-positive rate at each false-match rate of at least one impostor pair.
    eer: equal error rate.
    auc: area under the ROC.
    genuine, impostors: number of pairs.
    """

    metric: str
    tpr_at_fmr: dict[float, float]
    eer: float
    auc: float
    genuine: int
    impostors: int

    def as_dict(self) -> dict:
        """For JSON; rates become strings such as ``"0.001"``."""
        return {**asdict(self), "tpr_at_fmr": {f"{rate:g}": tpr for rate, tpr in self.tpr_at_fmr.items()}}


def receiver_curve(features: RetrievalFeatures, metric: str = "cosine") -> Roc:
    """The ROC of all pairs; most of the time goes into sorting the impostor distances.

    Raises:
        UserError: as ``Pairs``.
    """
    pairs = Pairs(features, metric)
    distances, counts = np.unique(pairs.genuine_distances, return_counts=True)
    nearer, false = np.zeros((2, len(distances)), dtype=np.int64)
    for values in pairs.impostor_distances():
        nearer += np.searchsorted(values, distances, side="left")
        false += np.searchsorted(values, distances, side="right")
    return Roc(metric, distances, np.cumsum(counts), nearer, false, pairs.genuine, pairs.impostors)


def verification_score(roc: Roc, rates: Sequence[float] = RATES) -> VerificationScore:
    """The figures of a curve; a rate too small for even one impostor pair is left out."""
    told = {rate: roc.tpr_at(rate) for rate in rates if rate * roc.impostors >= 1}
    return VerificationScore(roc.metric, told, roc.equal_error_rate(), roc.area(), roc.genuine, roc.impostors)
