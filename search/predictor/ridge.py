"""Ridge regression in its dual form, with the ridge that leave-one-out predictions are best by."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh

RIDGES = np.logspace(-4, 3, 29)
"""Variances of the noise over the mean prior variance that the choices give a score."""

LEVEL = 100.0
"""Prior variance, in the same unit, of what is not to be shrunk, such as the level that all scores share. Scores that
were only centred, with no level in the kernel, would let each left-out score be read off the others: their sum is 0."""


class RidgeFit(NamedTuple):
    """The best ridge, the mean squared error of its leave-one-out predictions, and its ``(N,)`` dual weights."""

    ridge: float
    error: float
    weights: np.ndarray


def least_error(kernel: np.ndarray, values: np.ndarray) -> RidgeFit:
    """The ridge of ``RIDGES`` with the least leave-one-out error for ``(N,)`` values of ``(N, N)`` prior covariances.

    One eigendecomposition serves all ridges. With ``A = (kernel + ridge I)^-1`` the error of the value i predicted from
    the others is ``(A y)_i / A_ii`` (Rasmussen & Williams 2006, section 5.4.2).
    """
    spectrum, vectors = eigh(kernel, driver="evd")
    rotated, squares = vectors.T @ values, vectors**2
    fits = []
    for ridge in RIDGES[::-1]:  # of equal errors the smoother
        inverse = 1 / (np.maximum(spectrum, 0) + ridge)
        weights = vectors @ (rotated * inverse)
        fits.append(RidgeFit(float(ridge), float(np.mean((weights / (squares @ inverse)) ** 2)), weights))
    return min(fits, key=lambda fit: fit.error)
