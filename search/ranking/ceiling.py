"""The ceiling for any ranker: stand-alone scores are noisy themselves, since they depend on the training's seed.

Model: a training of arch ``i`` with seed ``s`` scores ``truth_i + noise_is``, where the noise is normal with the same
variance for all archs. The noise variance is the pooled variance of seeds within archs; the variance of the truth is
what remains of the variance of the archs' means (one-way analysis of variance, Searle et al. 1992, ch. 3). The finite
test set does not count as noise here, since it is the same for all.
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
        spread: standard deviation of the archs' noiseless scores, in the same unit.
        tau, rho: expected between the archs' means over their seeds and the noiseless scores, which is what a perfect
            ranker would get.
        tau_of_seeds, rho_of_seeds: between trainings with one seed and with another, the mean over pairs of seeds, for
            archs that have the most seeds; ``None`` if there are no pairs or too few such archs.
    """

    noise: float
    spread: float
    tau: float
    rho: float
    tau_of_seeds: Estimate | None
    rho_of_seeds: Estimate | None


def ceiling(scores: Sequence[Sequence[float]], seed: int = 0) -> Ceiling | None:
    """The ceiling for archs with ``scores`` by seed; ``None`` for fewer than three archs, or if none has two seeds.

    The expected tau is the mean over ``DRAWS`` draws of tau between assumed truths and the same truths with noise of
    the variance of each arch's mean. The assumed truths are the means shrunk towards their common mean until they have
    the truth's variance. This keeps the shape of their distribution, which a formula would have to assume (for normal
    truths tau is ``2 / pi * asin(sqrt(reliability))``, where the reliability is the truth's share of the means'
    variance). The result is too high if truths form groups tighter than the noise, since the noise spreads the means.
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
    """Their mean; 0 if the truth has no variance left, so that there is nothing to rank."""
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
