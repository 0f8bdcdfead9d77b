"""A distance threshold for taking two images as the same person, set on identities held out for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from evaluation.retrieval.labeled_features import RetrievalFeatures
from evaluation.verification import Pairs
from reid.errors import UserError


@dataclass(frozen=True)
class Threshold:
    """Two images are taken for the same person if their distance is at most ``distance``.

    Attributes:
        distance: a float32 value.
        metric: ``"cosine"`` (``1 - cos``) or ``"euclidean"``; the distance is valid for this metric only.
        false_match_rate: as requested.
        fmr, tpr: false-match and true-positive rate on the pairs that it was set on.
        genuine, impostors: number of those pairs.
    """

    distance: float
    metric: str
    false_match_rate: float
    fmr: float
    tpr: float
    genuine: int
    impostors: int


@dataclass(frozen=True)
class ThresholdRates:
    """The rates of a threshold on pairs that it was not set on.

    Attributes:
        fmr: share of impostor pairs that are taken for the same person.
        tpr: share of genuine pairs that are taken for the same person.
        genuine, impostors: number of pairs.
    """

    fmr: float
    tpr: float
    genuine: int
    impostors: int


def calibrate_threshold(
    features: RetrievalFeatures, false_match_rate: float = 1e-3, metric: str = "cosine"
) -> Threshold:
    """The greatest threshold at which no more than ``false_match_rate`` of the impostor pairs are accepted.

    If k pairs are allowed, this is the float32 number just below the ``k + 1``-th smallest impostor distance. It is
    exact, and only ``k + 1`` distances are held.

    Args:
        features: of identities that the network was not trained on and that are not tested.

    Raises:
        UserError: the rate is not between 0 and 1, or so small that it allows no impostor pair; or as ``Pairs``.
    """
    if not 0 < false_match_rate < 1:
        raise UserError(f"false-match rate {false_match_rate:g}: must be between 0 and 1, for example 0.001")
    pairs = Pairs(features, metric)
    # 0.29 * 100 is below 29 in floating point.
    allowed = min(int(false_match_rate * pairs.impostors * (1 + 1e-12)), pairs.impostors - 1)
    if not allowed:
        rate = _round_up(1 / pairs.impostors)
        least = f"give --fmr {rate:g} or more, or " if rate < 1 else ""
        raise UserError(
            f"a false-match rate of {false_match_rate:g} cannot be measured on {pairs.impostors} impostor pairs; "
            f"{least}use more held-out identities"
        )
    smallest = np.empty(0, dtype=np.float32)
    for values in pairs.impostor_distances():
        smallest = np.sort(np.concatenate([smallest, values[: allowed + 1]]))[: allowed + 1]
    distance = np.nextafter(smallest[allowed], np.float32(-np.inf))
    return Threshold(
        distance=float(distance),
        metric=metric,
        false_match_rate=false_match_rate,
        fmr=int(np.searchsorted(smallest, distance, side="right")) / pairs.impostors,
        tpr=_share(pairs.genuine_distances, distance),
        genuine=pairs.genuine,
        impostors=pairs.impostors,
    )


def apply_threshold(features: RetrievalFeatures, threshold: Threshold) -> ThresholdRates:
    """The rates of ``threshold`` on other pairs.

    Raises:
        UserError: as ``Pairs``.
    """
    pairs = Pairs(features, threshold.metric)
    distance = np.float32(threshold.distance)
    accepted = sum(int(np.searchsorted(values, distance, side="right")) for values in pairs.impostor_distances())
    tpr = _share(pairs.genuine_distances, distance)
    return ThresholdRates(accepted / pairs.impostors, tpr, pairs.genuine, pairs.impostors)


def _round_up(rate: float) -> float:
    """``rate`` rounded up to one significant digit: 0.02 for 0.0143."""
    unit = 10.0 ** math.floor(math.log10(rate))
    return math.ceil(rate / unit) * unit


def _share(values: np.ndarray, distance: np.floating) -> float:
    return int(np.searchsorted(values, distance, side="right")) / len(values)


def halve_identities(features: RetrievalFeatures) -> tuple[RetrievalFeatures, RetrievalFeatures]:
    """Every other queried identity for setting a threshold, and the rest, distractors included, for measuring it.

    For networks trained without held-out identities. No identity is in both halves.
    """
    persons = torch.unique(features.query.pids)
    nobody = (*features.rule.junk_pids, *features.rule.distractor_pids)
    chosen = persons[~torch.isin(persons, persons.new_tensor(nobody))][::2]

    def part(inside: bool) -> RetrievalFeatures:
        query, gallery = (
            side.select(torch.isin(side.pids, chosen) == inside) for side in (features.query, features.gallery)
        )
        return replace(features, query=query, gallery=gallery)

    return part(True), part(False)
