"""Means of trainings and differences between them, with their uncertainty."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from search.ranking.statistics import CONFIDENCE


@dataclass(frozen=True)
class Mean:
    """An estimated mean.

    Attributes:
        value: the estimate.
        error: its standard error; ``None`` if it cannot be estimated.
        freedom: degrees of freedom of ``error``; infinite for a number that is not an estimate.
    """

    value: float
    error: float | None
    freedom: float

    @classmethod
    def known(cls, value: float) -> Mean:
        """A number without an error."""
        return cls(value, 0.0, math.inf)


def mean_of(values: Sequence[float]) -> Mean:
    """The mean of independent draws with its error ``s / sqrt(n)``, which is unknown for a single draw.

    Scores of one arch with several seeds are such draws. So are the *means* of randomly drawn archs: their spread
    contains both the archs' own deviations and the noise of seeds, so the error of their mean covers both. Treating all
    trainings as draws would count an arch as often as it was trained.
    """
    value = statistics.fmean(values)
    if len(values) < 2:
        return Mean(value, None, 0)
    return Mean(value, statistics.stdev(values) / math.sqrt(len(values)), len(values) - 1)


def combine(weights: Sequence[float], means: Sequence[Mean]) -> Mean:
    """The weighted sum of independent means; its degrees of freedom are those of Welch (1947) and Satterthwaite
    (1946)."""
    value = sum(weight * mean.value for weight, mean in zip(weights, means, strict=True))
    if any(mean.error is None for mean in means):
        return Mean(value, None, 0)
    parts = [((weight * mean.error) ** 2, mean.freedom) for weight, mean in zip(weights, means, strict=True)]
    variance = sum(part for part, _ in parts)
    if not variance:
        return Mean.known(value)
    # Divide first, since squares of small variances would vanish.
    inverse = sum((part / variance) ** 2 / freedom for part, freedom in parts)
    return Mean(value, math.sqrt(variance), 1 / inverse)


@dataclass(frozen=True)
class Difference:
    """A difference of two means; fields are ``None`` if there are too few trainings for them.

    Attributes:
        value: first minus second.
        error: standard error.
        freedom: its degrees of freedom.
        errors: distance of ``value`` from 0 in standard errors.
        low, high: ``CONFIDENCE`` interval by Student's t.
    """

    value: float
    error: float | None = None
    freedom: float | None = None
    errors: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def settled(self) -> bool:
        """Whether there is an interval and it excludes 0."""
        return self.low is not None and (self.low > 0 or self.high < 0)


def difference(first: Mean, second: Mean) -> Difference:
    """``first`` minus ``second``, which must be independent."""
    return as_difference(combine((1, -1), (first, second)))


def as_difference(mean: Mean) -> Difference:
    """The difference for a mean that already is one, such as a mean of paired differences."""
    if not mean.error:  # unknown, or exactly 0, which gives no unit to measure the difference by
        return Difference(mean.value)
    from scipy.stats import t  # here, since it takes a second to import

    reach = float(t.ppf((1 + CONFIDENCE) / 2, mean.freedom)) * mean.error
    value = mean.value
    return Difference(value, mean.error, mean.freedom, abs(value) / mean.error, value - reach, value + reach)
