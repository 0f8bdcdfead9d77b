"""A predictor of candidates' scores: ridge regression on the choices, alone and in pairs."""

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
"""Fewest scored candidates that a predictor is fitted to."""

PAIRS = (0.0, 0.1, 0.3, 0.6)
"""Shares of the prior variance that pairs of choices may have beside the choices alone."""

BENDS = (0.0, 1.0)
"""Scales of the encoding's bends; 0 leaves them out."""

TRIED_ON = 250
"""Candidates that pairs and bends are chosen on, evenly spaced in time: more would cost seconds and say the same."""


@dataclass(frozen=True, eq=False)
class Predictor:
    """Predicts scores of a space's archs; made by ``fit_predictor``.

    Attributes:
        space: what archs it takes.
        centre, scale: ``(D,)``: encodings have ``centre`` subtracted and are multiplied by ``scale``.
        level, slopes, products: a number, ``(D,)`` and ``(D, D)``: what is predicted of an encoding ``x`` prepared so
            is ``level + slopes @ x + x @ products @ x``.
        pairs: see ``PAIRS``.
        ridge: see ``search.predictor.ridge.RIDGES``.
        loo_rmse: root mean square error of leave-one-out predictions, in units of the score. It was minimised by the
            choice of a few settings, and so is slightly too good.
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
        """``(N,)`` expected scores, fractions as the candidates' are.

        Raises:
            UserError: an arch is not of the space.
        """
        if not len(archs):
            return np.zeros(0)
        encoded = (encode_all(self.space, archs) - self.centre) * self.scale
        return self.level + encoded @ self.slopes + np.einsum("nd,nd->n", encoded @ self.products, encoded)


def fit_predictor(space: Space, candidates: Sequence[Candidate]) -> Predictor:
    """Fits a predictor to the scored ones among ``candidates``; others are ignored.

    Ridge regression in its dual form, which is the mean of a Gaussian process: the kernel of two archs is
    ``(1 - pairs) * k + pairs * k**2`` and a constant, with ``k`` the scalar product of their centred encodings, so that
    each entry has a term of its own and one with each other entry. Noise, share of the pairs and use of the bends are
    those of the least leave-one-out error. A function of its arguments: a resumed search gets the same predictor.

    Raises:
        UserError: fewer than ``MINIMUM`` candidates have a score, or one is not of the space.
    """
    scored = scored_candidates(candidates)
    encoded = encode_all(space, [candidate.arch for candidate in scored])
    scores = np.array([candidate.score for candidate in scored], dtype=float)
    return fit_encoded(space, encoded, scores)


def scored_candidates(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates with a score; raises UserError if they are fewer than ``MINIMUM``."""
    scored = [candidate for candidate in candidates if candidate.score is not None]
    if len(scored) < MINIMUM:
        known = counted(len(scored), "candidate")
        raise UserError(f"{known} with a score: too few to learn from, {MINIMUM} are needed (search.trials)")
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
    bend, pairs = min(errors, key=errors.get)  # of equal ones the simpler
    scale = _scale(space, encoded, centre, bend)
    known = (encoded - centre) * scale
    fit = least_error(_kernel(known, pairs), scores - mean)
    weights = fit.weights
    level, slopes = mean + LEVEL * weights.sum(), (1 - pairs) * (weights @ known)
    products = pairs * (known.T * weights) @ known
    return Predictor(space, centre, scale, level, slopes, products, pairs, fit.ridge, float(np.sqrt(fit.error)))


def _scale(space: Space, encoded: np.ndarray, centre: np.ndarray, bend: float) -> np.ndarray:
    """Makes the mean squared length of the encodings 1: ``k`` and ``k**2`` are then of one size."""
    scale = np.where(bends(space), bend, 1.0)
    length = np.mean((((encoded - centre) * scale) ** 2).sum(1))
    return scale / np.sqrt(length) if length else scale


def _kernel(prepared: np.ndarray, pairs: float) -> np.ndarray:
    """``(N, N)`` prior covariances of ``(N, D)`` prepared encodings."""
    linear = prepared @ prepared.T
    return LEVEL + (1 - pairs) * linear + pairs * linear**2
