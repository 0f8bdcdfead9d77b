"""A predictor of stand-alone scores, fitted to archs that were trained alone.

A supernet scores every arch but errs on some kinds; trainings are right but few. This is ridge regression on the
choices of some twenty archs that were trained alone, as in predictor-based search (Wen et al.,
"Neural Predictor for Neural Architecture Search", ECCV 2020). FLOPs and the supernet's score are additional features,
to the extent that they help (White et al., "How Powerful are Performance Predictors in Neural Architecture Search?",
NeurIPS 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from reid.errors import UserError
from search.predictor.encoding import encode_all
from search.predictor.ridge import LEVEL, RidgeFit, least_error
from supernet.arch import Arch
from supernet.space import Space

FEWEST = 8
"""Fewest trained archs to which a predictor is fitted."""

WEIGHTS = (0.0, 0.3, 1.0, 3.0, 10.0)
"""Candidate prior variances of FLOPs and of the supernet's score; that of all choices together is 1."""


@dataclass(frozen=True)
class TrainedArch:
    """An arch that was trained alone.

    Attributes:
        arch: at any input size, unless the space has several.
        flops: fvcore's count.
        supernet: its score with the supernet's weights; ``None`` without a supernet.
        score: of its own training, on the same held-out identities; the mean over seeds.
    """

    arch: Arch
    flops: int
    supernet: float | None
    score: float


class _Fit(NamedTuple):
    """Ridge regression on ``(N, D)`` features, with the settings of the lowest leave-one-out error.

    Attributes:
        known: the features, minus ``centre`` and times ``scale``, both ``(D,)``.
        mean, weights: mean of the scores, and ``(N,)`` dual weights.
        flops_weight, supernet_weight: chosen from ``WEIGHTS``.
    """

    known: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    mean: float
    weights: np.ndarray
    flops_weight: float
    supernet_weight: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """``(M,)`` scores from ``(M, D)`` features."""
        return self.mean + (LEVEL + ((features - self.centre) * self.scale) @ self.known.T) @ self.weights


@dataclass(frozen=True, eq=False)
class AlonePredictor:
    """Predicts stand-alone scores of a space's archs; made by ``fit_alone``.

    Attributes:
        space: of the archs.
        fit: to all trained archs.
        scores: ``(N,)`` scores of the trained archs.
        left_out: ``(N,)`` prediction for each trained arch from all others; see ``_left_out``.
    """

    space: Space
    fit: _Fit
    scores: np.ndarray
    left_out: np.ndarray

    @property
    def takes_flops(self) -> bool:
        """Whether FLOPs are used in addition to the choices."""
        return self.fit.flops_weight > 0

    @property
    def takes_supernet(self) -> bool:
        """Whether the supernet's score of an arch is needed."""
        return self.fit.supernet_weight > 0

    def predict(
        self, archs: Sequence[Arch], flops: Sequence[int], supernet: Sequence[float] | None = None
    ) -> np.ndarray:
        """``(N,)`` expected scores of stand-alone trainings, as fractions.

        Args:
            supernet: scores with the supernet's weights; may be omitted if ``takes_supernet`` is false.

        Raises:
            UserError: an arch is not in the space.
        """
        if self.takes_supernet and supernet is None:
            raise ValueError("this predictor takes the supernet's scores")
        return self.fit.predict(_features(self.space, archs, flops, supernet if self.takes_supernet else None))


def fit_alone(space: Space, trained: Sequence[TrainedArch]) -> AlonePredictor:
    """Fits a predictor to trained archs. The weights of FLOPs and of the supernet's score, and the noise, are those
    with the lowest leave-one-out error (of equal ones, the smallest weights).

    Raises:
        UserError: there are fewer than ``FEWEST`` archs, or one is not in the space.
    """
    if len(trained) < FEWEST:
        raise UserError(f"{len(trained)} trained archs are too few to learn from; at least {FEWEST} are needed")
    scores = np.array([each.score for each in trained])
    with_supernet = all(each.supernet is not None for each in trained)
    supernet = [each.supernet for each in trained] if with_supernet else None
    features = _features(space, [each.arch for each in trained], [each.flops for each in trained], supernet)
    left_out = np.array([_left_out(features, scores, index) for index in range(len(scores))])
    return AlonePredictor(space, _fitted(features, scores), scores, left_out)


def _left_out(features: np.ndarray, scores: np.ndarray, index: int) -> float:
    """The prediction for one arch from all others.

    The settings are chosen without it too, since the lowest error among hundreds of settings is optimistic for unseen
    archs. The mean of the others is replaced by the mean of all: without the arch, the mean is higher the lower its
    score is, so even predictions that had learnt nothing else would have a tau of -1.
    """
    others = np.delete(np.arange(len(scores)), index)
    fit = _fitted(features[others], scores[others])
    return float(fit.predict(features[index : index + 1])[0]) + scores.mean() - fit.mean


def _fitted(features: np.ndarray, scores: np.ndarray) -> _Fit:
    centre, mean = features.mean(0), float(scores.mean())
    with_supernet = features[:, -1].any()
    fits: dict[tuple[float, float], RidgeFit] = {}
    for weights in product(WEIGHTS, WEIGHTS if with_supernet else WEIGHTS[:1]):
        known = (features - centre) * _scale(features, *weights)
        fits[weights] = least_error(LEVEL + known @ known.T, scores - mean)
    weights = min(fits, key=lambda each: (fits[each].error, each))
    scale = _scale(features, *weights)
    return _Fit((features - centre) * scale, centre, scale, mean, fits[weights].weights, *weights)


def _features(
    space: Space, archs: Sequence[Arch], flops: Sequence[int], supernet: Sequence[float] | None
) -> np.ndarray:
    """``(N, D)``: the choices, log FLOPs, and the supernet's score (0 for ``None``)."""
    own = np.zeros(len(archs)) if supernet is None else np.asarray(supernet, dtype=float)
    return np.column_stack([encode_all(space, archs), [math.log(each) for each in flops], own])


def _scale(features: np.ndarray, flops_weight: float, supernet_weight: float) -> np.ndarray:
    """``(D,)`` scales: the choices of an arch together get a mean squared length of 1, FLOPs and the supernet's score
    their respective weight."""
    variances = features.var(0)
    choices = variances[:-2].sum()
    scale = np.full(features.shape[1], 1 / math.sqrt(choices) if choices else 0.0)
    for column, weight in ((-2, flops_weight), (-1, supernet_weight)):
        scale[column] = math.sqrt(weight / variances[column]) if variances[column] else 0.0
    return scale
