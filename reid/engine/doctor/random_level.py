"""Expected mAP and Rank-1 of a random ranking: the level that a training must exceed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch

from reid.data.records import DISTRACTOR_PID, JUNK_PID, NO_CAMERA
from reid.errors import UserError


@dataclass(frozen=True)
class RandomLevel:
    """Expected scores, fractions in 0..1, as means over the counted queries.

    Attributes:
        mAP: of the step-wise average precision.
        rank1: share of queries with a right answer in first place.
        queries: number of queries counted.
    """

    mAP: float
    rank1: float
    queries: int


def expected_average_precision(right: np.ndarray, ranked: np.ndarray) -> np.ndarray:
    """Expected step-wise average precision of ``M`` gallery entries in random order, ``R`` of them right:

    ``(H_M + (R - 1) / (M - 1) * (M - H_M)) / M`` with the harmonic number ``H_M = 1 + 1/2 + ... + 1/M``.

    Place ``i`` is right with probability ``R / M``; on average ``(i - 1) (R - 1) / (M - 1)`` of the ``i - 1`` places
    before it are then right too, so its precision is ``(1 + (i - 1) (R - 1) / (M - 1)) / i``. The sum over the places,
    divided by ``R``, is the formula.

    Args:
        right: ``(Q,) int64``, ``R >= 1`` of each query.
        ranked: ``(Q,) int64``, ``M >= R`` of each query.
    """
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, ranked.max() + 1))])[ranked]
    others = (right - 1) / np.maximum(ranked - 1, 1)
    return (harmonic + others * (ranked - harmonic)) / ranked


def random_level(
    query_pids: torch.Tensor, query_camids: torch.Tensor, gallery_pids: torch.Tensor, gallery_camids: torch.Tensor
) -> RandomLevel:
    """The level for labels ``(Q,)`` and ``(G,) int64``, by Market-1501's rule (``evaluation/retrieval``): junk is not
    in the gallery, the query's own identity at its own camera is ignored, distractors are wrong, and queries without a
    right answer are not counted. For queries without a known camera, nothing is ignored.

    Raises:
        UserError: no query has a right answer.
    """
    gallery = [pair for pair in _pairs(gallery_pids, gallery_camids) if pair[0] != JUNK_PID]
    of_person, of_pair = Counter(pid for pid, _ in gallery), Counter(gallery)
    right, ranked = [], []
    for pid, camid in _pairs(query_pids, query_camids):
        passed = of_pair[pid, camid] if camid != NO_CAMERA else 0
        if pid not in (JUNK_PID, DISTRACTOR_PID) and of_person[pid] > passed:
            right.append(of_person[pid] - passed)
            ranked.append(len(gallery) - passed)
    if not right:
        raise UserError(
            "no query has a right answer (same pid, other camera) in the gallery: there is no score to expect"
        )
    hits, places = np.array(right), np.array(ranked)
    return RandomLevel(
        mAP=float(expected_average_precision(hits, places).mean()),
        rank1=float((hits / places).mean()),
        queries=len(hits),
    )


def _pairs(pids: torch.Tensor, camids: torch.Tensor) -> list[tuple[int, int]]:
    return list(zip(pids.tolist(), camids.tolist(), strict=True))
