"""Synthetic retrievals of the data sets' sizes, for benchmarks of the scoring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Size:
    """How large a retrieval is; ``strangers`` are gallery images of nobody (identity 0)."""

    name: str
    queries: int
    gallery: int
    strangers: int
    identities: int
    cameras: int


MARKET1501 = Size("Market-1501", 3368, 15913, 2798, 750, 6)
MSMT17 = Size("MSMT17", 11659, 82161, 0, 3060, 15)
QUICK = Size("a tenth of Market-1501", 337, 1591, 280, 75, 6)

KINDS = {"untrained": 0.0, "trained": 0.6}
"""How far identities lie apart, in standard deviations within one; 0.6 gives a mAP of 0.85 at Market-1501's size."""


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Features ``(Q, D)`` and ``(G, D) float32``, and the labels of both sides, ``(Q,)`` and ``(G,)``."""

    query: torch.Tensor
    gallery: torch.Tensor
    query_pids: np.ndarray
    query_camids: np.ndarray
    gallery_pids: np.ndarray
    gallery_camids: np.ndarray

    @property
    def labels(self) -> tuple[np.ndarray, ...]:
        """As ``evaluation.retrieval.metrics`` takes them."""
        return self.query_pids, self.query_camids, self.gallery_pids, self.gallery_camids


def synthetic(size: Size, spread: float, dim: int = 256) -> Retrieval:
    """Normal features around a centre for each identity, ``spread`` apart (see ``KINDS``); always the same."""
    random = np.random.default_rng(0)
    query_pids = np.arange(size.queries) % size.identities + 1
    persons = np.arange(size.gallery - size.strangers) % size.identities + 1
    gallery_pids = random.permutation(np.concatenate([persons, np.zeros(size.strangers, dtype=np.int64)]))
    centers = spread * random.standard_normal((size.identities + 1, dim), dtype=np.float32)
    centers[0] = 0
    features, camids = [], []
    for pids in (query_pids, gallery_pids):
        features.append(torch.from_numpy(centers[pids] + random.standard_normal((len(pids), dim), dtype=np.float32)))
        camids.append(random.integers(1, size.cameras + 1, len(pids)))
    return Retrieval(*features, query_pids, camids[0], gallery_pids, camids[1])
