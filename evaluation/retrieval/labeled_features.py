"""Features of a query and a gallery with their labels, from which scores are computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from evaluation.retrieval.rules import MatchRule


@dataclass(frozen=True, eq=False)
class LabeledFeatures:
    """Features of images with their labels.

    Attributes:
        features: ``(N, D) float32``.
        pids: ``(N,) int64`` identities.
        camids: ``(N,) int64`` cameras.
        ids: ``(N,)`` strings that identify the images; None if no image is on both sides.
    """

    features: torch.Tensor
    pids: torch.Tensor
    camids: torch.Tensor
    ids: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pids)

    def select(self, index: torch.Tensor) -> LabeledFeatures:
        """The features at ``index``, a ``(M,) int64`` or ``(N,) bool`` tensor."""
        ids = None if self.ids is None else self.ids[index.cpu().numpy()]
        return LabeledFeatures(self.features[index], self.pids[index], self.camids[index], ids)


@dataclass(frozen=True, eq=False)
class RetrievalFeatures:
    """Everything that a score is computed from.

    Attributes:
        query, gallery: both sides, with the same D.
        rule: how these labels number junk, distractors and unknown cameras.
        single_gallery_shot: as ``reid.data.records.Dataset``'s.
        about: what the features are of, as JSON: network, weights, data set, size, flip, ...
    """

    query: LabeledFeatures
    gallery: LabeledFeatures
    rule: MatchRule
    single_gallery_shot: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)

    def to(self, device: torch.device | str) -> RetrievalFeatures:
        """The same with features on ``device``; labels stay on the CPU."""
        sides = (replace(side, features=side.features.to(device)) for side in (self.query, self.gallery))
        return replace(self, query=next(sides), gallery=next(sides))
