"""The synthetic set for ``synthetic_hardness.py``: its pictures in memory, and the score of features of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from evaluation.retrieval.metrics import score_features

NAME = re.compile(r"(-?\d+)_c(\d)s")


@dataclass(frozen=True, eq=False)
class Part:
    """Images ``(N, 3, H, W) float32`` in 0..1 with identities and cameras ``(N,) int64``."""

    images: Tensor
    pids: Tensor
    cams: Tensor


def load(folder: Path) -> Part:
    """The pictures in a folder of the set, in the order of their names."""
    images, labels = [], []
    for path in sorted(folder.glob("*.jpg")):
        images.append(torch.from_numpy(np.array(Image.open(path).convert("RGB"))))
        labels.append([int(v) for v in NAME.match(path.name).groups()])
    pids, cams = torch.tensor(labels).unbind(1)
    return Part(torch.stack(images).permute(0, 3, 1, 2).float() / 255, pids, cams)


def resized(part: Part, size: tuple[int, int]) -> Tensor:
    """The part's images, ``(N, 3, *size)``."""
    if tuple(part.images.shape[2:]) == size:
        return part.images
    return F.interpolate(part.images, size=size, mode="bilinear", antialias=True, align_corners=False)


def score(query: Part, gallery: Part, q: Tensor, g: Tensor) -> tuple[float, float]:
    """Rank-1 and mAP in percent for features ``(Q, D)`` and ``(G, D)``, compared by cosine."""
    result = score_features(q, query.pids, query.cams, g, gallery.pids, gallery.cams)
    return 100 * result.rank1, 100 * result.mAP
