"""How far groups of identities order networks as another set of persons does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from evaluation.retrieval.metrics import score_features
from evaluation.retrieval.rules import RECORDS
from reid.data.records import ImageSet
from reid.data.split import query_mask
from search.ranking.statistics import kendall_tau

QUERIES = {"one for each camera": False, "every image": True}
"""Which images of a group are queries."""


@dataclass(frozen=True)
class Agreement:
    """Tau with the test set's order, over ``groups`` disjoint groups of identities."""

    identities: int
    groups: int
    queries: str
    mAP: float
    taus: tuple[float, ...]


def agreements(
    features: Sequence[torch.Tensor], images: ImageSet, truth: Sequence[float], sizes: Sequence[int]
) -> Iterator[Agreement]:
    """For each size and kind of queries, how well groups of so many identities order the networks.

    Args:
        features: ``(N, D)`` of each network, of all unused images.
        images: their ``(N,)`` labels.
        truth: mAP of each network on the test set.
        sizes: identities in a group; at most as many as there are.
    """
    identities = torch.unique(images.pids)
    for size in sizes:
        groups = [torch.isin(images.pids, chosen) for chosen in identities.split(size) if len(chosen) == size]
        for name, every in QUERIES.items():
            scores = np.array([[group_score(each, images, group, every) for each in features] for group in groups])
            taus = tuple(float(kendall_tau(row, np.asarray(truth))) for row in scores)
            yield Agreement(size, len(groups), name, float(scores.mean()), taus)


def group_score(features: torch.Tensor, images: ImageSet, group: torch.Tensor, every: bool) -> float:
    """mAP on the images that ``group`` ``(N,) bool`` takes. With ``every``, each is looked up among all others."""
    pids, camids, rows = images.pids[group], images.camids[group], features[group]
    queries = torch.ones_like(pids, dtype=torch.bool) if every else query_mask(pids, camids, bool(camids.any()))
    gallery = torch.ones_like(queries) if every else ~queries
    ids = torch.arange(len(pids))
    sides = [(rows[side], pids[side], camids[side]) for side in (queries, gallery)]
    return score_features(*sides[0], *sides[1], rule=RECORDS, query_ids=ids[queries], gallery_ids=ids[gallery]).mAP
