"""Ridge regression in its dual form, with the ridge chosen by leave-one-out predictions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh, svd

RIDGES = np.logspace(-4, 3, 29)
"""Candidate ratios of the noise variance to the mean prior variance that the choices give a score."""

LEVEL = 100.0
"""Prior variance, in the same unit, of what is not to be shrunk, such as the common level of all scores. With centred
scores and no level in the kernel, a left-out score could be read off the others, since they sum to 0."""


class RidgeFit(NamedTuple):
    """The best ridge, the mean squared error of its leave-one-out predictions, and its ``(N,)`` dual weights."""

    ridge: float
    error: float
    weights: np.ndarray


def least_error(kernel: np.ndarray, values: np.ndarray) -> RidgeFit:
    """The ridge of ``RIDGES`` with the lowest leave-one-out error for ``(N,)`` values and ``(N, N)`` prior covariances.

    One eigendecomposition serves all ridges. With ``A = (kernel + ridge I)^-1``, the error of value i predicted from
    the others is ``(A y)_i / A_ii`` (Rasmussen & Williams 2006, section 5.4.2).
    """
    spectrum, vectors = eigh(kernel, driver="evd")
    return _best(np.maximum(spectrum, 0), vectors, values)


def least_error_of(table: np.ndarray, values: np.ndarray) -> RidgeFit:
    """``least_error`` of the kernel ``table @ table.T``, without computing it. For ``(N, D)`` tables the time grows
    with ``N * D**2`` instead of ``N**3``, so even the log of a long search takes only seconds."""
    vectors, lengths, _ = svd(table, full_matrices=False)
    return _best(lengths**2, vectors, values)


def _best(spectrum: np.ndarray, vectors: np.ndarray, values: np.ndarray) -> RidgeFit:
    """The best ridge from ``(N, K)`` eigenvectors of a kernel; omitted eigenvectors have eigenvalue 0."""
    rotated, squares = vectors.T @ values, vectors**2
    ridges = RIDGES[::-1, None]  # of equal errors, the largest ridge
    inverse = 1 / (spectrum + ridges)
    weights, own = (rotated * inverse) @ vectors.T, inverse @ squares.T
    if vectors.shape[1] < vectors.shape[0]:  # the parts of the values and of the axes outside the eigenvectors' span
        weights += (values - vectors @ rotated) / ridges
        own += np.maximum(1 - squares.sum(1), 0) / ridges
    errors = np.mean((weights / own) ** 2, axis=1)
    best = int(errors.argmin())
    return RidgeFit(float(ridges[best, 0]), float(errors[best]), weights[best])
