"""Cross-validation of a predictor: how well it orders unseen candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reid.errors import UserError
from search.history import Candidate
from search.predictor.encoding import encode_all
from search.predictor.model import MINIMUM, fit_encoded, scored_candidates
from supernet.space import Space


def cross_validated_rank(
    space: Space, candidates: Sequence[Candidate], folds: int = 5, seed: int = 0
) -> tuple[float, float]:
    """Spearman's rho and Kendall's tau-b between scores and predictions of held-out candidates.

    Each fold is predicted by a predictor fitted to the other folds, and ranked separately, since different predictors'
    predictions are not on one scale. Returns the mean over folds, with 0 for a fold in which either side is all ties.
    Evolved candidates are related, so the result is higher than it would be for randomly drawn archs.

    Raises:
        UserError: too few candidates have a score.
    """
    scored = scored_candidates(candidates)
    least = -(-MINIMUM * folds // (folds - 1)) if folds > 1 else 0
    if folds < 2 or len(scored) < max(least, 3 * folds):
        raise UserError(
            f"{len(scored)} candidates with a score are too few for {folds} folds; give at least 2 folds, and evaluate "
            f"at least {max(least, 3 * folds)} candidates"
        )
    encoded = encode_all(space, [candidate.arch for candidate in scored])
    scores = np.array([candidate.score for candidate in scored], dtype=float)
    order = np.random.default_rng([seed, folds]).permutation(len(scored))
    found = []
    for fold in range(folds):
        held, rest = order[fold::folds], np.sort(np.delete(order, np.s_[fold::folds]))
        predictor = fit_encoded(space, encoded[rest], scores[rest])
        found.append(_agreement(predictor.predict([scored[index].arch for index in held]), scores[held]))
    rho, tau = np.mean(found, axis=0)
    return float(rho), float(tau)


def _agreement(predicted: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    if np.ptp(predicted) == 0 or np.ptp(scores) == 0:
        return 0.0, 0.0
    from scipy.stats import kendalltau, spearmanr  # here, since it takes a second to import

    return spearmanr(predicted, scores).statistic, kendalltau(predicted, scores).statistic
