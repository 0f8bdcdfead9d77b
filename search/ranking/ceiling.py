"""The ceiling of any ranker: stand-alone scores are themselves noisy, depending on the seed of a training.

The model: a training of arch ``i`` with seed ``s`` scores ``truth_i + noise_is``, with normal noise of one variance for
all archs. The variance of the noise is the pooled variance of seeds within archs, and the variance of the truth what is
left of the variance of the archs' means (one-way analysis of variance, Searle et al. 1992, ch. 3). That the test set is
finite is no noise here: it is the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from search.ranking.statistics import Estimate, bootstrap, kendall_tau, spearman_rho

DRAWS = 1000


@dataclass(frozen=True)
class Ceiling:
    """The best agreement that the noise of seeds allows.

    Attributes:
        noise: standard deviation between seeds of one arch, in the scores' unit.
        spread: standard deviation of the archs' noiseless scores, likewise.
        tau, rho: to be expected between the archs' means over their seeds and the noiseless scores: what a perfect
            ranker would get.
        tau_of_seeds, rho_of_seeds: between the trainings with one seed and those with another, the mean over pairs of
            seeds, of the archs that have all seeds; ``None`` where there are none, or too few.
    """

    noise: float
    spread: float
    tau: float
    rho: float
    tau_of_seeds: Estimate | None
    rho_of_seeds: Estimate | None


def ceiling(scores: Sequence[Sequence[float]], seed: int = 0) -> Ceiling | None:
    """The ceiling for archs with ``scores`` of one or more seeds each; ``None`` where no arch has two.

    The expected tau is the mean over ``DRAWS`` of tau between assumed truths and the same with noise of the variance
    that each arch's mean has. The assumed truths are the means drawn towards their common mean until their variance is
    the truth's: so they keep the shape of their distribution, which a formula would have to assume (for normal truths
    tau is ``2 / pi * asin(sqrt(reliability))``, the reliability being the truth's share of the means' variance). It is
    put too high where truths lie in tight groups, closer together than the noise: the noise spreads the means there.
    """
    repeated = [np.asarray(own) for own in scores if len(own) > 1]
    if not repeated or len(scores) < 3:
        return None
    means = np.array([np.mean(own) for own in scores])
    counts = np.array([len(own) for own in scores])
    noise = sum(((own - own.mean()) ** 2).sum() for own in repeated) / sum(len(own) - 1 for own in repeated)
    whole = means.var(ddof=1)
    truth = max(whole - noise * np.mean(1 / counts), 0.0)
    assumed = means.mean() + np.sqrt(truth / whole if whole > 0 else 0) * (means - means.mean())
    random = np.random.default_rng(seed)
    drawn = assumed + np.sqrt(noise / counts) * random.standard_normal((DRAWS, len(means)))
    between_seeds = _of_seeds(scores, seed)
    return Ceiling(
        float(np.sqrt(noise)),
        float(np.sqrt(truth)),
        _expected(kendall_tau(assumed, drawn)),
        _expected(spearman_rho(assumed, drawn)),
        *between_seeds,
    )


def _expected(values: np.ndarray) -> float:
    """Their mean; 0 where the truth has no variance left, so that there is nothing to rank."""
    return float(values.mean()) if np.isfinite(values).all() else 0.0


def _of_seeds(scores: Sequence[Sequence[float]], seed: int) -> tuple[Estimate | None, Estimate | None]:
    most = max(map(len, scores))
    table = np.array([own for own in scores if len(own) == most]).T  # (seeds, archs)
    if table.shape[1] < 3:
        return None, None

    def mean_over_pairs(statistic):
        return lambda seeds: np.mean([statistic(a, b) for a, b in combinations(seeds, 2)], axis=0)

    tau, rho = (bootstrap(mean_over_pairs(each), table, seed=seed) for each in (kendall_tau, spearman_rho))
    return tau, rho
