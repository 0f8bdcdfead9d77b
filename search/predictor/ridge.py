"""Ridge regression in its dual form, with the ridge of the best leave-one-out predictions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh, svd

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
    return _best(np.maximum(spectrum, 0), vectors, values)


def least_error_of(table: np.ndarray, values: np.ndarray) -> RidgeFit:
    """``least_error`` of the kernel ``table @ table.T``, which is never computed: for ``(N, D)`` tables the time grows
    with ``N * D**2`` instead of ``N**3``, so even the log of a long search takes only seconds."""
    vectors, lengths, _ = svd(table, full_matrices=False)
    return _best(lengths**2, vectors, values)


def _best(spectrum: np.ndarray, vectors: np.ndarray, values: np.ndarray) -> RidgeFit:
    """The best ridge by ``(N, K)`` eigenvectors of a kernel; those that are left out have an eigenvalue of 0."""
    rotated, squares = vectors.T @ values, vectors**2
    ridges = RIDGES[::-1, None]  # of equal errors the smoother
    inverse = 1 / (spectrum + ridges)
    weights, own = (rotated * inverse) @ vectors.T, inverse @ squares.T
    if vectors.shape[1] < vectors.shape[0]:  # what the eigenvectors do not span of the values, and of each one's axis
        weights += (values - vectors @ rotated) / ridges
        own += np.maximum(1 - squares.sum(1), 0) / ridges
    errors = np.mean((weights / own) ** 2, axis=1)
    best = int(errors.argmin())
    return RidgeFit(float(ridges[best, 0]), float(errors[best]), weights[best])
