"""CMC when the gallery holds one image of each person, drawn at random: the classic protocol of CUHK03."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from evaluation.retrieval.distances import ranking_blocks
from evaluation.retrieval.labeled_features import RetrievalFeatures
from evaluation.retrieval.matching import match
from reid.errors import UserError

DEPTH = 20


@dataclass(frozen=True)
class SingleShotScore:
    """Expected CMC as fractions.

    Attributes:
        rank1, rank5, rank10, rank20: share of queries whose right answer is among the first.
        queries: queries counted.
        skipped_queries: queries left out because the gallery holds no right answer for them.
    """

    rank1: float
    rank5: float
    rank10: float
    rank20: float
    queries: int
    skipped_queries: int

    def as_dict(self) -> dict[str, float | int]:
        return asdict(self)


def single_shot_score(features: RetrievalFeatures, metric: str = "cosine", block: int = 128) -> SingleShotScore:
    """The exact mean over all possible draws; the literature samples some (Li et al. 2014 draw 100, torchreid 10).

    A query's right answer is drawn from those that are not passed over, each other person's image from all of theirs;
    a distractor is a person with one image. Given the right answer, the number of persons before it is a sum of
    independent yes-or-no draws, so the share of draws with k of them can be computed person by person. Equal distances
    keep the gallery's order.

    Raises:
        UserError: as ``evaluation.retrieval.metrics.score_features``.
    """
    query, gallery, rule = features.query, features.gallery, features.rule
    matching = match(query.pids, query.camids, gallery.pids, gallery.camids, rule, query.ids, gallery.ids)
    columns = query.pids.new_tensor(matching.columns)
    persons, sizes = _persons(gallery.pids[columns].numpy(), rule.distractor_pids)
    total, counted, start = np.zeros(DEPTH), 0, 0
    ranked = gallery.features[columns.to(gallery.features.device)]
    for distances in ranking_blocks(query.features, ranked, metric, block):
        stop = start + len(distances)
        rows, places, junk = matching.same_identity(start, stop)
        rows, places = rows[~junk], places[~junk]
        shares = _shares_before(distances.cpu().numpy(), rows, places, persons, sizes)
        depths = _number_before(shares)
        weights = 1 / np.bincount(rows)[rows] if len(rows) else np.empty(0)
        total += (depths * weights[:, None]).sum(axis=0)
        counted += len(np.unique(rows))
        start = stop
    if not counted:
        raise matching.nothing_right()
    cmc = np.minimum(np.cumsum(total / counted), 1.0)  # a sum of shares may round up
    ranks = (float(cmc[rank - 1]) for rank in (1, 5, 10, 20))
    return SingleShotScore(*ranks, queries=counted, skipped_queries=len(query) - counted)


def _persons(pids: np.ndarray, distractor_pids: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """``(K,)`` number of each image's person, and ``(P,)`` images of each person."""
    stranger = np.isin(pids, distractor_pids)
    alone = np.where(stranger, pids.max(initial=0) + 1 + np.arange(len(pids)), pids)
    _, persons, sizes = np.unique(alone, return_inverse=True, return_counts=True)
    if not len(sizes):
        raise UserError("the gallery contains nothing but junk: there is nothing to score")
    return persons, sizes


def _shares_before(
    distances: np.ndarray, rows: np.ndarray, places: np.ndarray, persons: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """``(M, P) float64``: of each person's images, the share that comes before right answer m in its row; 0 for the
    right person."""
    shares = np.empty((len(rows), len(sizes)))
    for number, (row, place) in enumerate(zip(rows, places, strict=True)):
        before = distances[row] < distances[row, place]
        before[:place] |= distances[row, :place] == distances[row, place]
        shares[number] = np.bincount(persons[before], minlength=len(sizes)) / sizes
        shares[number, persons[place]] = 0
    return shares


def _number_before(shares: np.ndarray) -> np.ndarray:
    """``(M, DEPTH) float64``: the chance that 0, 1, 2, ... persons come before, from the chance ``(M, P)`` of each
    (Poisson binomial distribution)."""
    chances = np.zeros((len(shares), DEPTH))
    chances[:, 0] = 1
    for share in shares.T[:, :, None]:
        later = chances[:, :-1] * share
        chances *= 1 - share
        chances[:, 1:] += later
    return chances
