"""The values that make up data sets: where an image lies and who is on it, and the decoded images themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

JUNK_PID = -1
"""Identity of a box that must not influence the score (Market-1501: the detector did not catch a whole person)."""

DISTRACTOR_PID = 0
"""Identity of a box that counts as a wrong answer for every query (Market-1501: ``0000``)."""

NO_CAMERA = 0
"""Camera number of an image whose camera is not known; known cameras count from 1."""


@dataclass(frozen=True)
class ImageRecord:
    """One image file with its labels.

    Attributes:
        path: absolute path of the image file.
        pid: person identity as its data set numbers it, from 1; ``JUNK_PID`` and ``DISTRACTOR_PID`` have their meaning
            above.
        camid: camera number as its data set numbers it (Market-1501: 1 to 6), or ``NO_CAMERA``.
        source: number of the data set that it comes from, where several are merged.
    """

    path: str
    pid: int
    camid: int
    source: int = 0


@dataclass(frozen=True)
class Dataset:
    """One partition of a data set: records to train on, queries, and the gallery they are searched in, with the facts
    of its protocol that a score needs.

    The rule for junk and distractors is the same for all: gallery images of ``JUNK_PID`` are ignored, those of
    ``DISTRACTOR_PID`` are wrong for every query, and, where there are cameras, those of the query's own identity and
    camera are ignored for that query. Different persons have different numbers across the three parts.

    Attributes:
        name: for reports; says the variant and the split too (``cuhk03-classic-detected-split03``).
        has_cameras: False where every record has ``NO_CAMERA``; then no image is ignored for its camera.
        single_gallery_shot: the published figures of this protocol draw one gallery image per identity at random,
            many times, and average the CMC (classic CUHK03); query and gallery are then the same images.
        image_size: ``(height, width)`` of every image, or None where they differ; ``load_images`` should be given a
            size then.
        identity_names: what identity number n is called in the data, at place n - 1; empty where it has only numbers.
        camera_names: likewise for camera number n.
    """

    name: str
    train: tuple[ImageRecord, ...]
    query: tuple[ImageRecord, ...]
    gallery: tuple[ImageRecord, ...]
    has_cameras: bool = True
    single_gallery_shot: bool = False
    image_size: tuple[int, int] | None = None
    identity_names: tuple[str, ...] = ()
    camera_names: tuple[str, ...] = ()

    @property
    def has_test(self) -> bool:
        """Whether there are queries and a gallery to score on; own data may consist of training images alone."""
        return bool(self.query)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Decoded images with their labels.

    Attributes:
        images: ``(N, H, W, 3) uint8``, RGB, all at one size; may be backed by a memory-mapped file.
        pids: ``(N,) int64`` person identities as the data set numbers them.
        camids: ``(N,) int64`` camera numbers; ``NO_CAMERA`` where not known.
        sources: ``(N,) int64`` number of the data set that each image comes from; None for one data set.
    """

    images: torch.Tensor
    pids: torch.Tensor
    camids: torch.Tensor
    sources: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.pids)

    def select(self, index: torch.Tensor) -> ImageSet:
        """The images at ``index``, a ``(M,) int64`` or ``(N,) bool`` tensor; pixels are copied."""
        return replace(
            self,
            images=self.images[index],
            pids=self.pids[index],
            camids=self.camids[index],
            sources=None if self.sources is None else self.sources[index],
        )

    def labels(self) -> tuple[torch.Tensor, int]:
        """Class labels for training: ``(N,) int64`` in ``0..C-1`` in ascending order of identity, and ``C``."""
        unique, labels = torch.unique(self.pids, return_inverse=True)
        return labels, len(unique)
