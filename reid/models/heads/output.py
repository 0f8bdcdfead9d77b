"""``HeadOutput``: the vectors that every head outputs."""

from __future__ import annotations

from typing import NamedTuple

import torch


class HeadOutput(NamedTuple):
    """Outputs of a head for ``N`` images.

    Attributes:
        feature: ``(N, Df)`` before the neck; metric losses (triplet) see this one.
        embedding: ``(N, D)`` that persons are compared by.
        parts: vectors ``(N, Di)`` that are classified, each after dropout; vector ``i`` is for the classifier number
            ``head.part_classifiers[i]``. In eval mode it holds only the first of them, those that inference computes
            anyway. Empty means that the embedding itself is classified.
    """

    feature: torch.Tensor
    embedding: torch.Tensor
    parts: tuple[torch.Tensor, ...] = ()
