"""Persons and pictures in both training and test, which make the test's scores meaningless."""

from __future__ import annotations

from dataclasses import dataclass

from reid.data.digests import image_digests
from reid.data.records import DISTRACTOR_PID, JUNK_PID, ImageSet


@dataclass(frozen=True)
class Overlap:
    """Persons and images that training and test share.

    Attributes:
        identities: person numbers on both sides, ascending; junk and distractors are not persons.
        images: test images with the same pixels as a training image, as ``("query" or "gallery", index, index of the
            training image)``. The person may have a different number on the other side.
    """

    identities: tuple[int, ...]
    images: tuple[tuple[str, int, int], ...]

    def __bool__(self) -> bool:
        return bool(self.identities or self.images)


def identity_overlap(train: ImageSet, query: ImageSet, gallery: ImageSet) -> Overlap:
    """Compares person numbers and decoded pixels (by a 128-bit hash of shape and bytes; about a second per GB).

    Images count as the same only if all pixels are; a resized or recompressed copy is not found. Junk images of the
    gallery are left out, since they affect no score.
    """
    trained = set(train.pids.tolist())
    tested = set(query.pids.tolist()) | set(gallery.pids.tolist())
    seen = {digest: index for index, digest in reversed(list(enumerate(image_digests(train))))}
    images = [
        (name, index, seen[digest])
        for name, part in (("query", query), ("gallery", gallery))
        for index, (digest, pid) in enumerate(zip(image_digests(part), part.pids.tolist(), strict=True))
        if pid != JUNK_PID and digest in seen
    ]
    return Overlap(tuple(sorted((trained & tested) - {JUNK_PID, DISTRACTOR_PID})), tuple(images))
