"""The values that data sets are made of: where an image lies and who is on it, and the decoded images themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

JUNK_PID = -1
"""Identity of a box that must not influence the score (Market-1501: the detector caught no whole person)."""

DISTRACTOR_PID = 0
"""Identity of a box that counts as a wrong answer for every query (Market-1501: ``0000``)."""


@dataclass(frozen=True)
class ImageRecord:
    """One image file with its labels.

    Attributes:
        path: absolute path of the image file.
        pid: person identity as the data set numbers it; ``JUNK_PID`` and ``DISTRACTOR_PID`` have their meaning above.
        camid: camera number as the data set numbers it (Market-1501: 1 to 6).
    """

    path: str
    pid: int
    camid: int


@dataclass(frozen=True)
class Dataset:
    """The official partition of a data set: records to train on, queries, and the gallery they are looked up in."""

    name: str
    train: tuple[ImageRecord, ...]
    query: tuple[ImageRecord, ...]
    gallery: tuple[ImageRecord, ...]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Decoded images with their labels.

    Attributes:
        images: ``(N, H, W, 3) uint8``, RGB, at the size the data set stores; may be backed by a memory-mapped file.
        pids: ``(N,) int64`` person identities as the data set numbers them.
        camids: ``(N,) int64`` camera numbers.
    """

    images: torch.Tensor
    pids: torch.Tensor
    camids: torch.Tensor

    def __len__(self) -> int:
        return len(self.pids)

    def select(self, index: torch.Tensor) -> ImageSet:
        """The images at ``index``, a ``(M,) int64`` or ``(N,) bool`` tensor; pixels are copied."""
        return replace(self, images=self.images[index], pids=self.pids[index], camids=self.camids[index])

    def labels(self) -> tuple[torch.Tensor, int]:
        """Class labels for training: ``(N,) int64`` in ``0..C-1`` in ascending order of identity, and ``C``."""
        unique, labels = torch.unique(self.pids, return_inverse=True)
        return labels, len(unique)
