"""How well supernets, and cheaper rankers, order archs compared with stand-alone trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.ranking.ceiling import Ceiling, ceiling
from search.ranking.statistics import (
    Estimate,
    bootstrap,
    kendall_tau,
    mean_ranks,
    precision_at,
    regret,
    spearman_rho,
    tau_given,
)
from supernet.arch import Arch

TEST, HOLDOUT = "test", "holdout"
"""Where stand-alone networks are scored: on the test set, or on the identities on which supernets are scored."""

GROUNDS = (TEST, HOLDOUT)

FLOPS, PARAMETERS, LEARNT, SAME_HOLDOUT = "FLOPs", "parameters", "other archs' trainings", "stand-alone, held-out"
"""Rankers that are not supernets. The third predicts an arch's score from the others' trainings
(``search.predictor.alone``). The last is the score of the trainings themselves on the held-out identities: its gap to 1
is due to different persons and images, not to shared weights."""

AND_FLOPS = ", and FLOPs"
"""Suffix of a supernet's label for ranking archs by their mean rank in its scores and in FLOPs, whose errors differ."""

OTHER_RANKINGS = "other rankings' trainings"
"""Label, among a ranking's supernets, of the prediction from the trainings of other rankings."""


@dataclass(frozen=True)
class Alone:
    """One finished stand-alone training; scores are mAPs as fractions.

    Attributes:
        seed: of the training.
        test, holdout: see ``GROUNDS``.
        run: its folder, for the reader.
    """

    seed: int
    test: float
    holdout: float
    run: str


@dataclass(frozen=True)
class RankedArch:
    """An arch and all its measurements.

    Attributes:
        name: of its file and its trainings.
        flops, parameters: fvcore's FLOPs at the search's cost size, and the number of parameters.
        supernets: mAP on the held-out identities with each supernet's weights, by the supernet's label; also with these
            weights trained further, by labels of their own.
        alone: at least one, by seed.
        learnt: prediction from the other archs' trainings (``AlonePredictor.left_out``); ``None`` if they are too few.
        arch: at the input size at which it was trained.
    """

    name: str
    flops: int
    parameters: int
    supernets: Mapping[str, float]
    alone: tuple[Alone, ...]
    learnt: float | None = None
    arch: Arch | None = None

    def truth(self, ground: str) -> float:
        """The mean over seeds."""
        return float(np.mean(self.scores(ground)))

    def scores(self, ground: str) -> list[float]:
        """The score of every seed."""
        return [getattr(each, ground) for each in self.alone]


@dataclass(frozen=True)
class Agreement:
    """How well a ranker's scores order the stand-alone ones.

    Attributes:
        tau, rho: Kendall's tau-b and Spearman's rho; ``None`` if all of one side are tied.
        tau_given_flops: see ``search.ranking.statistics.tau_given``; ``None`` for FLOPs themselves.
        tau_over_flops: tau minus that of FLOPs, with the interval of the difference; ``None`` for FLOPs themselves.
        tau_over_first: tau minus that of the first supernet; ``None`` for that one.
        precision: share of the ranker's best ``k`` that are truly among the best ``k``.
        regret: mAP (a fraction) lost by taking the ranker's best arch instead of the truly best one.
    """

    tau: Estimate | None
    rho: Estimate | None
    tau_given_flops: Estimate | None
    tau_over_flops: Estimate | None
    tau_over_first: Estimate | None
    precision: float
    regret: float


@dataclass(frozen=True)
class Verdict:
    """All rankers compared with the stand-alone scores on one ground.

    Attributes:
        k: for the precision: a quarter of the archs.
        rankers: by label; supernets first, then each of them combined with FLOPs, then the others.
        ceiling: ``None`` if no arch was trained twice or there are too few archs.
    """

    k: int
    rankers: Mapping[str, Agreement]
    ceiling: Ceiling | None


def analyse(archs: Sequence[RankedArch], ground: str, seed: int = 0) -> Verdict:
    """Compares all rankers with stand-alone scores on ``ground``; ``seed`` is for the resampling."""
    truth = np.array([arch.truth(ground) for arch in archs])
    k = max(1, len(archs) // 4)
    scores = _rankers(archs, ground)
    first = next(iter(scores))
    rankers = {
        label: agreement(
            own, truth, None if label == FLOPS else scores[FLOPS], None if label == first else scores[first], k, seed
        )
        for label, own in scores.items()
    }
    return Verdict(k, rankers, ceiling([arch.scores(ground) for arch in archs], seed))


def _rankers(archs: Sequence[RankedArch], ground: str) -> dict[str, np.ndarray]:
    scores = {label: [arch.supernets[label] for arch in archs] for label in archs[0].supernets}
    flops = [arch.flops for arch in archs]
    scores |= {f"{label}{AND_FLOPS}": mean_ranks(own, flops) for label, own in scores.items()}
    scores |= {FLOPS: flops, PARAMETERS: [arch.parameters for arch in archs]}
    if all(arch.learnt is not None for arch in archs):
        scores[LEARNT] = [arch.learnt for arch in archs]
    if ground != HOLDOUT:
        scores[SAME_HOLDOUT] = [arch.truth(HOLDOUT) for arch in archs]
    return {label: np.array(own, dtype=float) for label, own in scores.items()}


def agreement(
    scores: np.ndarray, truth: np.ndarray, flops: np.ndarray | None, first: np.ndarray | None, k: int, seed: int = 0
) -> Agreement:
    """The figures of one ranker; those relative to ``flops`` or the ``first`` supernet only if these are given."""

    def over(other: np.ndarray | None) -> Estimate | None:
        return None if other is None else bootstrap(_gain, scores, truth, other, seed=seed)

    return Agreement(
        bootstrap(kendall_tau, scores, truth, seed=seed),
        bootstrap(spearman_rho, scores, truth, seed=seed),
        None if flops is None else bootstrap(tau_given, scores, truth, flops, seed=seed),
        over(flops),
        over(first),
        precision_at(k, scores, truth),
        regret(scores, truth),
    )


def _gain(scores: np.ndarray, truth: np.ndarray, other: np.ndarray) -> np.ndarray:
    return kendall_tau(scores, truth) - kendall_tau(other, truth)
