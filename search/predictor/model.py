"""A predictor of candidates' scores: ridge regression on single choices and pairs of choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from reid.errors import UserError
from reid.words import counted
from search.history import Candidate
from search.predictor.encoding import bends, encode_all
from search.predictor.ridge import LEVEL, least_error
from supernet.arch import Arch
from supernet.space import Space

MINIMUM = 16
"""Fewest scored candidates to which a predictor is fitted."""

PAIRS = (0.0, 0.1, 0.3, 0.6)
"""Candidate shares of pairs of choices in the prior variance; single choices have the rest."""

BENDS = (0.0, 1.0)
"""Scales of the encoding's bends; 0 leaves them out."""

TRIED_ON = 250
"""Number of candidates, evenly spaced in time, on which pairs and bends are chosen; more would only take longer."""


@dataclass(frozen=True, eq=False)
class Predictor:
    """Predicts scores of a space's archs; made by ``fit_predictor``.

    Attributes:
        space: of the archs.
        centre, scale: ``(D,)``; encodings have ``centre`` subtracted and are multiplied by ``scale``.
        level, slopes, products: a number, ``(D,)`` and ``(D, D)``; the prediction for such a scaled encoding ``x`` is
            ``level + slopes @ x + x @ products @ x``.
        pairs: see ``PAIRS``.
        ridge: see ``search.predictor.ridge.RIDGES``.
        loo_rmse: root mean square error of leave-one-out predictions, in units of the score; slightly optimistic, since
            a few settings were chosen to minimise it.
    """

    space: Space
    centre: np.ndarray
    scale: np.ndarray
    level: float
    slopes: np.ndarray
    products: np.ndarray
    pairs: float
    ridge: float
    loo_rmse: float

    def predict(self, archs: Sequence[Arch]) -> np.ndarray:
        """``(N,)`` expected scores, fractions like the candidates'.

        Raises:
            UserError: an arch is not in the space.
        """
        if not len(archs):
            return np.zeros(0)
        encoded = (encode_all(self.space, archs) - self.centre) * self.scale
        return self.level + encoded @ self.slopes + np.einsum("nd,nd->n", encoded @ self.products, encoded)


def fit_predictor(space: Space, candidates: Sequence[Candidate]) -> Predictor:
    """Fits a predictor to the scored ``candidates``; others are ignored.

    Ridge regression in its dual form, which is the mean of a Gaussian process. The kernel of two archs is
    ``(1 - pairs) * k + pairs * k**2`` plus a constant, where ``k`` is the scalar product of their centred encodings, so
    each entry has a term of its own and one with every other entry. Noise, share of pairs and use of bends are those
    with the lowest leave-one-out error. The result is a function of the arguments: a resumed search gets the same.

    Raises:
        UserError: fewer than ``MINIMUM`` candidates have a score, or one is not in the space.
    """
    scored = scored_candidates(candidates)
    encoded = encode_all(space, [candidate.arch for candidate in scored])
    scores = np.array([candidate.score for candidate in scored], dtype=float)
    return fit_encoded(space, encoded, scores)


def scored_candidates(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates with a score; raises UserError if there are fewer than ``MINIMUM``."""
    scored = [candidate for candidate in candidates if candidate.score is not None]
    if len(scored) < MINIMUM:
        known = counted(len(scored), "candidate")
        raise UserError(f"{known} with a score: too few to learn from; at least {MINIMUM} are needed (search.trials)")
    return scored


def fit_encoded(space: Space, encoded: np.ndarray, scores: np.ndarray) -> Predictor:
    """``fit_predictor`` for ``(N, D)`` encodings and ``(N,)`` scores."""
    centre, mean = encoded.mean(0), float(scores.mean())
    some = np.unique(np.linspace(0, len(scores) - 1, min(TRIED_ON, len(scores))).astype(int))
    errors = {}
    for bend, pairs in product(BENDS, PAIRS):
        scale = _scale(space, encoded, centre, bend)
        part = (encoded[some] - centre) * scale
        errors[bend, pairs] = least_error(_kernel(part, pairs), scores[some] - mean).error
    bend, pairs = min(errors, key=errors.get)  # of equal ones, the simplest
    scale = _scale(space, encoded, centre, bend)
    known = (encoded - centre) * scale
    fit = least_error(_kernel(known, pairs), scores - mean)
    weights = fit.weights
    level, slopes = mean + LEVEL * weights.sum(), (1 - pairs) * (weights @ known)
    products = pairs * (known.T * weights) @ known
    return Predictor(space, centre, scale, level, slopes, products, pairs, fit.ridge, float(np.sqrt(fit.error)))


def _scale(space: Space, encoded: np.ndarray, centre: np.ndarray, bend: float) -> np.ndarray:
    """Scales the encodings to a mean squared length of 1, so that ``k`` and ``k**2`` have the same magnitude."""
    scale = np.where(bends(space), bend, 1.0)
    length = np.mean((((encoded - centre) * scale) ** 2).sum(1))
    return scale / np.sqrt(length) if length else scale


def _kernel(prepared: np.ndarray, pairs: float) -> np.ndarray:
    """``(N, N)`` prior covariances of ``(N, D)`` scaled encodings."""
    linear = prepared @ prepared.T
    return LEVEL + (1 - pairs) * linear + pairs * linear**2
